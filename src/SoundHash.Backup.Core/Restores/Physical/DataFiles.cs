using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>What stands at a path, a link not followed.</summary>
internal enum PathKind
{
    Missing,
    File,
    Directory,
    Link,
    Other,
}

/// <summary>Files of a data directory: made new and never through a link, given to their owner, and synced by file system.</summary>
internal static partial class DataFiles
{
    private const int WriteOnly = 0x1, Create = 0x40, MustBeNew = 0x80, CloseOnExec = 0x80000; // O_…
    private const int CurrentDirectory = -100, KeepLinks = 0x100; // AT_…
    private const uint TypeAndOwner = 0x1 | 0x8 | 0x10; // STATX_TYPE, _UID, _GID

    /// <summary>Makes a file that is not there yet: a link at that name, even one to nothing, is an error and is not followed.</summary>
    public static SafeFileHandle CreateNew(string path, UnixFileMode mode)
    {
        var handle = Open(path, WriteOnly | Create | MustBeNew | CloseOnExec, (int)mode);
        return handle.IsInvalid ? throw Failed("make", path) : handle;
    }

    /// <summary>Makes everything durable that was written to the file system of a directory.</summary>
    public static void SyncFileSystem(string directory)
    {
        using var handle = Open(directory, CloseOnExec, 0);
        if (handle.IsInvalid || Syncfs(handle) != 0)
        {
            throw Failed("sync the file system of", directory);
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

    /// <summary>What stands at a path, and whose it is.</summary>
    public static (PathKind Kind, DataOwner Owner) Look(string path)
    {
        // struct statx (statx(2)): stx_uid at 20, stx_gid at 24, stx_mode at 28.
        Span<byte> found = stackalloc byte[256];
        if (Statx(CurrentDirectory, path, KeepLinks, TypeAndOwner, ref found[0]) != 0)
        {
            const int NoEntry = 2, NoDirectory = 20;
            return Marshal.GetLastPInvokeError() is NoEntry or NoDirectory ? (PathKind.Missing, default) : throw Failed("look at", path);
        }

        var kind = (MemoryMarshal.Read<ushort>(found[28..]) & 0xF000) switch
        {
            0x8000 => PathKind.File,
            0x4000 => PathKind.Directory,
            0xA000 => PathKind.Link,
            _ => PathKind.Other,
        };
        return (kind, new DataOwner(MemoryMarshal.Read<uint>(found[20..]), MemoryMarshal.Read<uint>(found[24..])));
    }

    private static IOException Failed(string what, string path) => new($"can't {what} {path}: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    private static partial int Syncfs(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int Fchown(SafeFileHandle fd, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Lchown(string path, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, ref byte found);
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
        if (EffectiveUser() != 0)
        {
            return null;
        }

        var (kind, owner) = DataFiles.Look(targetDirectory);
        return kind == PathKind.Directory && owner.User != 0 ? owner : Named(Usual);
    }

    /// <summary>The user who runs this.</summary>
    public static uint Ourselves() => EffectiveUser();

    // struct passwd { char *pw_name; char *pw_passwd; uid_t pw_uid; gid_t pw_gid; … } (getpwnam(3))
    private static DataOwner? Named(string user) => GetUser(user) is var entry and not 0
        ? new DataOwner((uint)Marshal.ReadInt32(entry, 2 * nint.Size), (uint)Marshal.ReadInt32(entry, (2 * nint.Size) + 4))
        : null;

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "getpwnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetUser(string name);
}
