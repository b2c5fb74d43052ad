using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Repository;

/// <summary>
/// Says that a set is being read, so that <see cref="Expiry"/> leaves it alone: a shared flock(2) on a file of the set in the
/// state directory, which ends with its holder, however that dies. It is seen by runs with the same state directory only.
/// </summary>
public sealed class SetUse : IDisposable
{
    // A clean-up that only looks whether a set is in use keeps others out for an instant.
    private static readonly TimeSpan ProbeTime = TimeSpan.FromSeconds(1);

    private readonly SafeFileHandle? _file;
    private readonly string? _remove;

    private SetUse(SafeFileHandle? file, string? remove)
    {
        _file = file;
        _remove = remove;
    }

    /// <summary>Marks a set as being read until the result is disposed, and then sees whether it is still there.</summary>
    /// <param name="stateDirectory">The state directory; made when missing.</param>
    /// <param name="store">Where the set is.</param>
    /// <param name="id">The set.</param>
    /// <param name="unmarked">Told why the set could not be marked; it is read all the same.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">The set was removed, or is being removed.</exception>
    public static async Task<SetUse> BeginAsync(
        string stateDirectory, IObjectStore store, string id, Action<string> unmarked, TimeProvider time, CancellationToken cancel)
    {
        var use = await ShareAsync(stateDirectory, id, unmarked, time, cancel);
        try
        {
            return await store.StatAsync(RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile), cancel) is null
                ? throw Removed($"set {id} was removed")
                : use;
        }
        catch
        {
            use.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Keeps others from beginning to read a set; null when somebody reads it. The file is removed with the result, which is
    /// safe while it is held: who has opened it meanwhile sees that it is not the one that the path names.
    /// </summary>
    /// <exception cref="StorageException">Whether somebody reads it can't be told.</exception>
    public static SetUse? TryExclude(string stateDirectory, string id)
    {
        var path = PathOf(stateDirectory, id);
        try
        {
            return TakeFile(path, static (file, at) => LocalFiles.TryLock(file, at)) is { } file ? new SetUse(file, path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(
                $"can't tell whether set {id} is being read: can't lock {path}: {e.Message}",
                $"give the file to the user who runs this, when no restore runs: ls -l {path}",
                e);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            if (_remove is not null)
            {
                File.Delete(_remove);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is empty and means nothing when nobody holds it.
        }
        finally
        {
            if (_file is not null)
            {
                LocalFiles.Unlock(_file);
                _file.Dispose();
            }
        }
    }

    private static async Task<SetUse> ShareAsync(
        string stateDirectory, string id, Action<string> unmarked, TimeProvider time, CancellationToken cancel)
    {
        var path = PathOf(stateDirectory, id);
        try
        {
            RunLock.MakeDirectory(Path.GetDirectoryName(path)!);
            var started = time.GetTimestamp();
            while (true)
            {
                if (TakeFile(path, static (file, at) => LocalFiles.TryLockShared(file, at)) is { } file)
                {
                    return new SetUse(file, null);
                }

                if (time.GetElapsedTime(started) >= ProbeTime)
                {
                    throw Removed($"set {id} is being removed");
                }

                await Task.Delay(ProbeTime / 10, time, cancel);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            unmarked($"can't mark set {id} as being read, so that backup expire could remove it meanwhile: {path}: {e.Message}");
            return new SetUse(null, null);
        }
    }

    private static SafeFileHandle? TakeFile(string path, Func<SafeFileHandle, string, bool> take)
    {
        while (true)
        {
            var file = LocalFiles.OpenToLock(path);
            try
            {
                if (!take(file, path))
                {
                    file.Dispose();
                    return null;
                }

                // Else it was removed with its set since it was opened.
                if (LocalFiles.IsSameFile(file, path))
                {
                    return file;
                }
            }
            catch
            {
                file.Dispose();
                throw;
            }

            file.Dispose();
        }
    }

    private static string PathOf(string stateDirectory, string id) => Path.Combine(stateDirectory, "locks", $"set-{id}.lock");

    private static BackupException Removed(string message) =>
        new(ErrorKind.Failed, message, "shbackup backup list shows what there is");
}
