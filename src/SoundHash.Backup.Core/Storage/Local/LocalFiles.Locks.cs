using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SoundHash.Backup.Storage.Local;

/// <content>
/// Locks, and the files that have them. Root takes them in directories of others, who could have put a link, a pipe or a device
/// in the file's place: only a regular file is used.
/// </content>
internal static partial class LocalFiles
{
    private const int Shared = 1, Exclusive = 2, NonBlocking = 4, Release = 8; // LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN
    private const int NotRegular = -1;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode AllRead = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>O_NOFOLLOW, which is another number on some platforms.</summary>
    public static int NoFollow => RuntimeInformation.ProcessArchitecture
        is Architecture.Arm64 or Architecture.Arm or Architecture.Armv6 or Architecture.Ppc64le ? 0x8000 : 0x20000;

    /// <summary>
    /// Opens a file for its owner alone, made when it is missing. Not by FileStream's own means: .NET takes a shared flock on
    /// every file that it opens for writing, and can't open one that another process has locked.
    /// </summary>
    public static SafeFileHandle OpenOrCreate(string path) => OpenOrMake(path, OwnerOnly, orToRead: false);

    /// <summary>
    /// Opens a file that is only there to be locked, made when it is missing. Whoever may look into its directory can open it,
    /// so that what root has locked is seen by others, whatever root's umask.
    /// </summary>
    public static SafeFileHandle OpenToLock(string path) => OpenOrMake(path, AllRead, orToRead: true);

    /// <summary>Opens a file to read it.</summary>
    /// <exception cref="IOException">There is none, or it is no regular file.</exception>
    public static SafeFileHandle OpenToRead(string path) => TryOpenRegular(path, 0, out var error) ?? throw CannotOpen(error);

    /// <summary>Takes the lock of an open file (flock(2)) unless somebody has it. It ends with the handle.</summary>
    public static bool TryLock(SafeFileHandle file, string path) => TryLock(file, path, Exclusive);

    /// <summary>As <see cref="TryLock(SafeFileHandle, string)"/>, beside others who have it in this way.</summary>
    public static bool TryLockShared(SafeFileHandle file, string path) => TryLock(file, path, Shared);

    /// <summary>Gives up a lock at once: closing alone leaves it to a child that was forked and has not yet begun its program.</summary>
    public static void Unlock(SafeFileHandle file) => _ = Flock(file, Release);

    private static bool TryLock(SafeFileHandle file, string path, int how)
    {
        while (true)
        {
            switch (ErrorOf(Flock(file, how | NonBlocking)))
            {
                case 0:
                    return true;
                case WouldBlock:
                    return false;
                case Interrupted:
                    continue;
                case var error:
                    throw Failed("lock", path, error);
            }
        }
    }

    private static SafeFileHandle OpenOrMake(string path, UnixFileMode mode, bool orToRead)
    {
        for (var attempt = 1; ; attempt++)
        {
            if (TryMake(path, mode, out var error) is { } made)
            {
                return made;
            }

            if (error == Exists)
            {
                var there = TryOpenRegular(path, ReadWrite, out error);
                there ??= orToRead && error is (Denied or ReadOnlySystem) ? TryOpenRegular(path, 0, out _) : null;
                if (there is not null)
                {
                    return there;
                }
            }

            // Missing: it was there, and is gone since.
            if (error != Missing || attempt == 100 || !Directory.Exists(Path.GetDirectoryName(path)))
            {
                throw CannotOpen(error);
            }
        }
    }

    private static SafeFileHandle? TryMake(string path, UnixFileMode mode, out int error)
    {
        var made = Open(path, ReadWrite | Create | Exclude | CloseOnExec, (int)mode);
        error = made.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        try
        {
            if (error == 0)
            {
                if (File.GetUnixFileMode(made) != mode)
                {
                    TrySetMode(made, mode);
                }

                FolderOwner.Take(made, path);
                return made;
            }
        }
        catch
        {
            made.Dispose();
            throw;
        }

        made.Dispose();
        return null;
    }

    private static void TrySetMode(SafeFileHandle file, UnixFileMode mode)
    {
        try
        {
            File.SetUnixFileMode(file, mode);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // On a file system without modes, files have that of its mount.
        }
    }

    // Without waiting: opening a pipe takes until somebody opens its other end.
    private static SafeFileHandle? TryOpenRegular(string path, int access, out int error)
    {
        var file = Open(path, access | NoFollow | NoWait | CloseOnExec, 0);
        error = file.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        if (error == 0 && KindOf(file, path) == FileKind.File)
        {
            return file;
        }

        error = error == 0 ? NotRegular : error;
        file.Dispose();
        return null;
    }

    private static IOException CannotOpen(int error) =>
        new(error is NoLoops or NotRegular ? "it is no regular file" : Marshal.GetPInvokeErrorMessage(error));

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle fd, int operation);
}
