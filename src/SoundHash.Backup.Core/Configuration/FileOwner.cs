using System.Runtime.InteropServices;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Configuration;

/// <summary>Whose a file is, which .NET does not tell.</summary>
internal static partial class FileOwner
{
    private const int WorkingDirectory = -100; // AT_FDCWD
    private const int NotTheLinksTarget = 0x100; // AT_SYMLINK_NOFOLLOW
    private const uint Owner = 0x8; // STATX_UID
    private const int NoSuchFile = 2; // ENOENT

    /// <summary>True when a file, and the link to it where it is one, belong to the user that runs this, or to root.</summary>
    public static bool IsTrusted(string path) => IsTrusted(path, NotTheLinksTarget) && IsTrusted(path, 0);

    // A link to nothing is nobody's; reading it fails with the better words.
    private static bool IsTrusted(string path, int flags) =>
        Statx(WorkingDirectory, path, flags, Owner, out var status) == 0
            ? status.Owner == 0 || status.Owner == LocalUsers.Effective
            : Marshal.GetLastPInvokeError() == NoSuchFile;

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, out Status status);

    // struct statx (statx(2)): the same on every architecture, unlike struct stat.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Status
    {
        [FieldOffset(20)]
        public uint Owner;
    }
}
