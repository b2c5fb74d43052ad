using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Files of a data directory: made new and never through a link, and given to their owner; and what syncs them.</summary>
internal static partial class DataFiles
{
    private const int WriteOnly = 0x1, Create = 0x40, MustBeNew = 0x80, CloseOnExec = 0x80000; // O_…

    /// <summary>Makes a file that is not there yet: a link at that name, even one to nothing, is an error and is not followed.</summary>
    public static SafeFileHandle CreateNew(string path, UnixFileMode mode)
    {
        var handle = Open(path, WriteOnly | Create | MustBeNew | CloseOnExec, (int)mode);
        return handle.IsInvalid ? throw Failed("make", path) : handle;
    }

    public static SafeFileHandle OpenDirectory(string directory)
    {
        var handle = Open(directory, CloseOnExec, 0);
        return handle.IsInvalid ? throw Failed("open", directory) : handle;
    }

    public static void SyncFileSystem(SafeFileHandle handle, string directory)
    {
        if (Syncfs(handle) != 0)
        {
            throw Failed("sync the file system of", directory);
        }
    }

    /// <summary>
    /// Makes sure that what is read of a file next comes from the disk: of a write that failed the kernel may still have the pages,
    /// as if they had been written.
    /// </summary>
    /// <exception cref="IOException">It can't be brought to the disk.</exception>
    public static void DropCached(SafeFileHandle file, string path)
    {
        const int DontNeed = 4; // POSIX_FADV_DONTNEED
        if (Fsync(file) != 0)
        {
            throw Failed("sync", path);
        }

        _ = Advise(file, 0, 0, DontNeed);
    }

    /// <summary>What kind of file system a file is on (f_type of statfs(2)); null where that can't be told.</summary>
    public static long? FileSystemOf(SafeFileHandle file)
    {
        Span<byte> found = stackalloc byte[256];
        return Fstatfs(file, ref found[0]) == 0 ? MemoryMarshal.Read<long>(found) : null;
    }

    /// <summary>Sets mode and owner of a file that is there; a link in its place is an error.</summary>
    public static void Take(string path, UnixFileMode mode, DataOwner? owner)
    {
        using var file = Open(path, LocalFiles.NoFollow | CloseOnExec, 0);
        if (file.IsInvalid)
        {
            throw Failed("take", path);
        }

        File.SetUnixFileMode(file, mode);
        if (owner is { } to)
        {
            GiveTo(file, path, to);
        }
    }

    public static void GiveTo(SafeFileHandle file, string path, DataOwner owner)
    {
        if (Fchown(file, owner.User, owner.Group) != 0)
        {
            throw Failed("change the owner of", path);
        }
    }

    public static void GiveTo(string path, DataOwner owner)
    {
        if (Lchown(path, owner.User, owner.Group) != 0)
        {
            throw Failed("change the owner of", path);
        }
    }

    private static IOException Failed(string what, string path) => new($"can't {what} {path}: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(SafeFileHandle fd, long offset, long bytes, int advice);

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int Fstatfs(SafeFileHandle fd, ref byte found);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    private static partial int Syncfs(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int Fchown(SafeFileHandle fd, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Lchown(string path, uint user, uint group);
}

/// <summary>Whose files are.</summary>
/// <param name="User">Its number.</param>
/// <param name="Group">The group's number.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly partial record struct DataOwner(uint User, uint Group)
{
    private const string Usual = "postgres";

    /// <summary>
    /// Whom the files of a data directory are given to: null where they stay ours, since only root can give files away.
    /// PostgreSQL does not run as root, so that a directory of root's says nothing.
    /// </summary>
    public static DataOwner? Of(string targetDirectory)
    {
        if (LocalUsers.Effective != 0)
        {
            return null;
        }

        return LocalFiles.Look(targetDirectory, follow: true) is { Kind: FileKind.Directory, User: not 0 } found
            ? new DataOwner(found.User, found.Group)
            : Named(Usual);
    }

    // struct passwd { char *pw_name; char *pw_passwd; uid_t pw_uid; gid_t pw_gid; … } (getpwnam(3))
    private static DataOwner? Named(string user) => GetUser(user) is var entry and not 0
        ? new DataOwner((uint)Marshal.ReadInt32(entry, 2 * nint.Size), (uint)Marshal.ReadInt32(entry, (2 * nint.Size) + 4))
        : null;

    [LibraryImport("libc", EntryPoint = "getpwnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetUser(string name);
}
