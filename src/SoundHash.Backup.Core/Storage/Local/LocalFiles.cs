using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Storage.Local;

/// <summary>File operations that decide durability and atomicity, straight from POSIX.</summary>
internal static partial class LocalFiles
{
    private const int ReadOnlyDirectory = 0x10000 | 0x80000; // O_RDONLY | O_DIRECTORY | O_CLOEXEC
    private const int FileExists = 17; // EEXIST

    /// <summary>Makes a directory's entries durable: a new name survives a crash only after this.</summary>
    public static void SyncDirectory(string path)
    {
        using var directory = Open(path, ReadOnlyDirectory);
        if (directory.IsInvalid || Fsync(directory) != 0)
        {
            throw Failed("sync directory", path);
        }
    }

    /// <summary>Gives a file a second name, atomically; false when that name exists.</summary>
    public static bool TryLink(string existing, string name)
    {
        if (Link(existing, name) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == FileExists ? false : throw Failed("link", name);
    }

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
    public static uint GroupId(string group)
    {
        if (uint.TryParse(group, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        // struct group { char *gr_name; char *gr_passwd; gid_t gr_gid; … } (getgrnam(3))
        var entry = GetGroup(group);
        return entry == 0
            ? throw new BackupException(ErrorKind.Configuration, $"BACKUP_GROUP='{group}' is no group of this machine", "getent group lists them")
            : (uint)Marshal.ReadInt32(entry, 2 * nint.Size);
    }

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Chown(string path, uint owner, uint group);

    [LibraryImport("libc", EntryPoint = "getgrnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetGroup(string name);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string name);

    private static IOException Failed(string what, string path) =>
        new($"can't {what} {path}: {Marshal.GetLastPInvokeErrorMessage()}");
}
