using System.Globalization;
using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// A file in a data directory whose restore has begun and is not done: it says which cluster it is of, when pg_control is gone,
/// and where its old WAL was saved. Its lock keeps two restores from one directory.
/// </summary>
/// <param name="SystemIdentifier">The cluster.</param>
/// <param name="SavedWal">Where WAL of the old data directory is saved, or null.</param>
internal sealed record RestoreMark(ulong SystemIdentifier, string? SavedWal)
{
    /// <summary>The file.</summary>
    public const string File = "shbackup-restore.unfinished";

    /// <summary>Reads the mark of a directory; null when there is none.</summary>
    /// <exception cref="BackupException">It is there and can't be read, or another restore is at work.</exception>
    public static RestoreMark? Read(string directory)
    {
        var path = Path.Combine(directory, File);
        try
        {
            // Reading takes a lock too, beside others who read.
            if (IsHeld(path))
            {
                throw AtWork(directory);
            }

            return LocalFiles.Look(path, follow: false) is { Kind: FileKind.File } && System.IO.File.ReadAllLines(path) is [var system, .. var rest]
                && ulong.TryParse(system, NumberStyles.None, CultureInfo.InvariantCulture, out var identifier)
                ? new RestoreMark(identifier, rest is [{ Length: > 0 } saved, ..] ? saved : null)
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(ErrorKind.Failed, $"can't read {path}: {e.Message}", inner: e);
        }
    }

    /// <summary>Writes it durably, in place of an earlier one, and keeps others out until the result is disposed.</summary>
    /// <exception cref="BackupException">Another restore is at work there.</exception>
    public IDisposable Write(DataWriter writer)
    {
        var path = writer.PathOf(File);
        var text = string.Create(CultureInfo.InvariantCulture, $"{SystemIdentifier}\n{SavedWal}\n");
        // Whatever moment this is stopped at, a mark of before is there whole: without one nobody could go on with what is left.
        var temporary = $"{AtomicFile.TemporaryPrefix}{Guid.NewGuid():n}";
        using var old = LockOld(writer.Root, path);
        var file = writer.Create(temporary);
        try
        {
            file.Write(System.Text.Encoding.UTF8.GetBytes(text));
            file.Sync();
            EnsureOurs(file.Handle, writer.Root, writer.PathOf(temporary));
            if (old is not null)
            {
                System.IO.File.Move(writer.PathOf(temporary), path, overwrite: true);
            }
            else if (!LocalFiles.TryPublish(writer.PathOf(temporary), path))
            {
                throw AtWork(writer.Root);
            }

            LocalFiles.SyncDirectory(writer.Root);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
        finally
        {
            System.IO.File.Delete(writer.PathOf(temporary));
        }
    }

    private static bool IsHeld(string path)
    {
        using var file = LocalFiles.Look(path, follow: false) is { Kind: FileKind.File } ? LocalFiles.OpenToLock(path) : null;
        return file is not null && !LocalFiles.TryLockShared(file, path);
    }

    private static SafeFileHandle? LockOld(string directory, string path)
    {
        if (LocalFiles.Look(path, follow: false) is not { } found)
        {
            return null;
        }

        var old = found.Kind == FileKind.File ? LocalFiles.OpenToLock(path) : throw AtWork(directory);
        try
        {
            EnsureOurs(old, directory, path);
            return old;
        }
        catch
        {
            old.Dispose();
            throw;
        }
    }

    // The lock of a file that another restore removed since it was opened keeps nobody out: that one has a new file, or is done.
    private static void EnsureOurs(SafeFileHandle file, string directory, string path)
    {
        if (!LocalFiles.TryLock(file, path) || !LocalFiles.IsSameFile(file, path))
        {
            throw AtWork(directory);
        }
    }

    private static BackupException AtWork(string directory) =>
        new(ErrorKind.Locked, $"another restore into {directory} is at work", "wait until it is done, and look at what it left");

    /// <summary>Says that the restore is done.</summary>
    public static void Remove(DataWriter writer)
    {
        System.IO.File.Delete(writer.PathOf(File));
        LocalFiles.SyncDirectory(writer.Root);
    }
}
