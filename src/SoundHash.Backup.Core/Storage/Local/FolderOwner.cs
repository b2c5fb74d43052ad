using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SoundHash.Backup.Storage.Local;

/// <summary>
/// What root makes in another user's folder belongs to that user: else PostgreSQL's user can't read what root has archived, or is
/// kept out by a lock of root's. Others than root can't give files away, and need not. By handles and never by name: whoever owns
/// the folder could put a link to anything under the name.
/// </summary>
internal static partial class FolderOwner
{
    private const int CloseOnExec = 0x80000;
    private const int NotPermitted = 1, Invalid = 22, NotImplemented = 38, NotSupported = 95; // E…
    private const uint AsItIs = uint.MaxValue;

    /// <summary>Gives a file that we have just made to its folder's owner.</summary>
    /// <param name="file">The file, open.</param>
    /// <param name="path">Its path.</param>
    /// <param name="keepGroup">Its group has been set.</param>
    /// <exception cref="IOException">It can't be given away, on a file system that knows owners.</exception>
    public static void Take(SafeFileHandle file, string path, bool keepGroup = false)
    {
        if (OwnerOf(Path.GetDirectoryName(path)!) is { } folder && FChown(file, folder.User, keepGroup ? AsItIs : folder.Group) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            // What does not know owners, or maps root to nobody, leaves it as it would always have been.
            if (error is not (NotPermitted or Invalid or NotImplemented or NotSupported))
            {
                throw new IOException($"can't give {path} to its folder's owner: {Marshal.GetPInvokeErrorMessage(error)}");
            }
        }
    }

    /// <summary>As <see cref="Take(SafeFileHandle, string, bool)"/>, for a directory that we have just made, or a file that a child has.</summary>
    public static void Take(string path, bool keepGroup = false)
    {
        if (OwnerOf(Path.GetDirectoryName(path)!) is not { } folder
            || LocalFiles.Look(path, follow: false) is not { Kind: FileKind.File or FileKind.Directory, User: 0 } found
            || (found.Kind == FileKind.File && found.Names > 1) || (folder.User, folder.Group) == (found.User, found.Group))
        {
            return;
        }

        using var open = Open(path, LocalFiles.NoFollow | CloseOnExec, 0);
        if (!open.IsInvalid)
        {
            Take(open, path, keepGroup);
        }
    }

    // Null where there is nothing to give, which is the usual case and costs one question to the runtime.
    private static FoundFile? OwnerOf(string folder) =>
        Environment.IsPrivilegedProcess && LocalFiles.Look(folder, follow: true) is { User: > 0 } found ? found : null;

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int FChown(SafeFileHandle file, uint owner, uint group);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);
}
