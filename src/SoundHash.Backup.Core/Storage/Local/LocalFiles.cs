using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Storage.Local;

/// <summary>File operations that decide durability, atomicity and locks, straight from POSIX and Linux. Errors are IOExceptions.</summary>
internal static partial class LocalFiles
{
    // Numbers of Linux that all of its platforms with .NET share; O_TMPFILE holds O_DIRECTORY, which they don't.
    private const int WriteOnly = 0x1, ReadWrite = 0x2, Create = 0x40, Exclude = 0x80, NoWait = 0x800, CloseOnExec = 0x80000;
    private const int CurrentDirectory = -100, FollowLinks = 0x400; // AT_…
    private const int NoReplace = 1; // RENAME_NOREPLACE
    private const uint BeginWriting = 2; // SYNC_FILE_RANGE_WRITE

    private const int NotPermitted = 1, Missing = 2, Interrupted = 4, WouldBlock = 11, Denied = 13, Exists = 17, NoDirectory = 20, Invalid = 22; // E…
    private const int TooManyLinks = 31, ReadOnlySystem = 30, NotImplemented = 38, NoLoops = 40, NotSupported = 95;

    /// <summary>
    /// Makes a directory's entries durable: a new name survives a crash only after this. File systems that have nothing to
    /// sync for a directory (some of the network) say EINVAL, and are taken at their word.
    /// </summary>
    /// <exception cref="DirectoryNotFoundException">It is gone.</exception>
    public static void SyncDirectory(string path)
    {
        using var directory = Open(path, CloseOnExec, 0);
        if (!directory.IsInvalid && (Fsync(directory) == 0 || Marshal.GetLastPInvokeError() == Invalid))
        {
            return;
        }

        throw Marshal.GetLastPInvokeError() == Missing
            ? new DirectoryNotFoundException($"directory {path} is gone")
            : Failed("sync directory", path);
    }

    /// <summary>Lets the disk begin with a part of a file. Says nothing of durability, and where the file system can't, nothing happens.</summary>
    public static void BeginToWrite(SafeFileHandle file, long offset, long length) => _ = SyncRange(file, offset, length, BeginWriting);

    /// <summary>Makes the content of a file durable, whoever wrote it; its name only with <see cref="SyncDirectory"/>.</summary>
    /// <exception cref="FileNotFoundException">It is gone.</exception>
    public static void SyncFile(string path)
    {
        using var file = Open(path, CloseOnExec, 0);
        if (!file.IsInvalid && Fsync(file) == 0)
        {
            return;
        }

        throw Marshal.GetLastPInvokeError() == Missing ? new FileNotFoundException($"file {path} is gone") : Failed("sync", path);
    }

    /// <summary>
    /// Gives a file that was written under a temporary name its real one, atomically; false when that exists. The temporary
    /// name may or may not be left.
    /// </summary>
    public static bool TryPublish(string temporary, string name) =>
        TryPublish(temporary, name, static (from, to) => ErrorOf(Link(from, to)), RenameToNew);

    /// <summary>As above, by the given calls of link(2) and renameat2(2) without replacing, which return 0 or an error number.</summary>
    public static bool TryPublish(string temporary, string name, Func<string, string, int> link, Func<string, string, int> rename)
    {
        var error = link(temporary, name);
        if (error is NotPermitted or TooManyLinks or NotImplemented or NotSupported)
        {
            // FAT, exFAT, many FUSE and some network file systems have no hard links.
            error = rename(temporary, name);
        }

        return error switch
        {
            0 => true,
            Exists => false,
            Invalid or NotImplemented => throw new IOException(
                $"the file system of {name} has neither hard links nor a rename that replaces nothing: files can't appear whole there"),
            _ => throw Failed("make", name, error),
        };
    }

    /// <summary>Renames a file unless the new name exists: 0, or an error number.</summary>
    public static int RenameToNew(string from, string to) => ErrorOf(Rename(CurrentDirectory, from, CurrentDirectory, to, NoReplace));

    /// <summary>Opens a file without a name in a directory, which is gone with its last handle; null where the file system can't.</summary>
    public static SafeFileHandle? TryOpenNameless(string directory, UnixFileMode mode, bool isReadable = false)
    {
        int? flags = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => 0x410000,
            Architecture.Arm64 => 0x404000,
            _ => null,
        };
        if (flags is null || !Directory.Exists("/proc/self/fd"))
        {
            return null;
        }

        var handle = Open(directory, flags.Value | (isReadable ? ReadWrite : WriteOnly) | CloseOnExec, (int)mode);
        if (!handle.IsInvalid)
        {
            return handle;
        }

        handle.Dispose();
        return null;
    }

    /// <summary>Gives a file that has none a name, atomically; false when that exists.</summary>
    public static bool TryName(SafeFileHandle nameless, string name)
    {
        return ErrorOf(LinkAt(CurrentDirectory, PathOf(nameless), CurrentDirectory, name, FollowLinks)) switch
        {
            0 => true,
            Exists => false,
            var error => throw Failed("make", name, error),
        };
    }

    /// <summary>Makes one directory unless it exists; never its parents, which .NET would make with another mode.</summary>
    /// <exception cref="DirectoryNotFoundException">Its parent is gone.</exception>
    public static void MakeDirectory(string path, UnixFileMode mode)
    {
        switch (ErrorOf(MakeDirectory(path, (int)mode)))
        {
            case 0 or Exists:
                return;
            case Missing:
                throw new DirectoryNotFoundException($"the parent of {path} is gone");
            case var error:
                throw Failed("make directory", path, error);
        }
    }

    /// <summary>Makes a directory for its owner alone, and so every one above it that is missing; one that exists stays as it is.</summary>
    public static void MakeOwnDirectories(string path)
    {
        if (!Directory.Exists(path))
        {
            MakeOwnDirectories(Path.GetDirectoryName(path)!);
            MakeDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            FolderOwner.Take(path);
        }
    }

    /// <summary>Removes a directory when it is empty; false when it is not, or can't be removed.</summary>
    public static bool TryRemoveDirectory(string path) => RemoveDirectory(path) == 0;

    /// <summary>Sets the mode whatever the umask took away, and the group where there is one.</summary>
    public static void Protect(string path, UnixFileMode mode, uint? group)
    {
        if (group is { } id)
        {
            if (Chown(path, uint.MaxValue, id) != 0)
            {
                throw Failed("change the group of", path);
            }

            File.SetUnixFileMode(path, mode);
        }
    }

    /// <summary>The id of a group by name or number.</summary>
    /// <exception cref="BackupException">There is no such group.</exception>
    public static uint GroupId(string group) => FindGroup(group) ?? throw new BackupException(
        ErrorKind.Configuration, $"BACKUP_GROUP='{group}' is no group of this machine", "getent group lists them");

    /// <summary>The id of a group by name or number, or null when there is no such group.</summary>
    public static uint? FindGroup(string group)
    {
        if (uint.TryParse(group, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        // struct group { char *gr_name; char *gr_passwd; gid_t gr_gid; … } (getgrnam(3))
        var entry = GetGroup(group);
        return entry == 0 ? null : (uint)Marshal.ReadInt32(entry, 2 * nint.Size);
    }

    private static string PathOf(SafeFileHandle file) => string.Create(
        CultureInfo.InvariantCulture,
        $"/proc/self/fd/{file.DangerousGetHandle()}");

    private static int ErrorOf(int result) => result == 0 ? 0 : Marshal.GetLastPInvokeError();

    private static IOException Failed(string what, string path) => Failed(what, path, Marshal.GetLastPInvokeError());

    private static IOException Failed(string what, string path, int error) =>
        new($"can't {what} {path}: {Marshal.GetPInvokeErrorMessage(error)}");

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Chown(string path, uint owner, uint group);

    [LibraryImport("libc", EntryPoint = "getgrnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetGroup(string name);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "sync_file_range")]
    private static partial int SyncRange(SafeFileHandle file, long offset, long length, uint flags);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string name);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LinkAt(int fromDirectory, string existing, int toDirectory, string name, int flags);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(int fromDirectory, string from, int toDirectory, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeDirectory(string path, int mode);

    [LibraryImport("libc", EntryPoint = "rmdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RemoveDirectory(string path);
}
