using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Repository;

/// <summary>
/// One run of a kind at a time: flock(2) on a file in the state directory. The kernel gives it up when the holder dies,
/// however it dies; the file stays.
/// </summary>
public sealed class RunLock : IDisposable
{
    private readonly FileStream _file;

    private RunLock(FileStream file, string stateDirectory, string name, string instance)
    {
        _file = file;
        StateDirectory = stateDirectory;
        Name = name;
        Instance = instance;
    }

    /// <summary>The state directory that the lock is in.</summary>
    public string StateDirectory { get; }

    /// <summary>The lock's name, as intents record it.</summary>
    public string Name { get; }

    /// <summary>The identity of the state directory, as intents record it.</summary>
    public string Instance { get; }

    /// <summary>Takes the lock, waiting for its holder up to a time.</summary>
    /// <param name="stateDirectory">The state directory; made when missing.</param>
    /// <param name="verb">What is run, e.g. backup.</param>
    /// <param name="subject">On what, e.g. the database; or null.</param>
    /// <param name="wait">How long to wait for the holder.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">Another run holds it, or the directory can't be written.</exception>
    public static async Task<RunLock> TakeAsync(
        string stateDirectory, string verb, string? subject, TimeSpan wait, TimeProvider time, CancellationToken cancel)
    {
        var name = LockName(verb, subject);
        var path = Path.Combine(stateDirectory, "locks", $"{name}.lock");
        var started = time.GetTimestamp();
        while (true)
        {
            var file = Open(path);
            try
            {
                while (!LocalFiles.TryLock(file.SafeFileHandle, path))
                {
                    if (time.GetElapsedTime(started) >= wait)
                    {
                        throw Held(verb, subject, file);
                    }

                    await Task.Delay(TimeSpan.FromMilliseconds(200), time, cancel);
                }

                // Else it was replaced since it was opened: the next run would lock the new one, and not see that we hold this.
                if (LocalFiles.IsSameFile(file.SafeFileHandle, path))
                {
                    Describe(file, time);
                    return new RunLock(file, stateDirectory, name, await InstanceOfAsync(stateDirectory, cancel));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                await file.DisposeAsync();
                throw CannotLock(path, e);
            }
            catch
            {
                await file.DisposeAsync();
                throw;
            }

            await file.DisposeAsync();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            _file.SetLength(0);
        }
        catch (IOException)
        {
            // What it says of the holder is for people; a run that is done must not fail for it.
        }
        finally
        {
            // Closing alone leaves it locked while a child that is being started still has our files: they close at its exec.
            LocalFiles.Unlock(_file.SafeFileHandle);
            _file.Dispose();
        }
    }

    private static string LockName(string verb, string? subject)
    {
        if (subject is null)
        {
            return verb;
        }

        // Two databases whose names differ only in characters that a file name should not hold are two locks.
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(subject)))[..8];
        var readable = new string(subject.Where(char.IsAsciiLetterOrDigit).Take(40).ToArray());
        return $"{verb}-{readable}-{hash}";
    }

    private static FileStream Open(string path)
    {
        try
        {
            MakeDirectory(Path.GetDirectoryName(path)!);
            return new FileStream(LocalFiles.OpenOrCreate(path), FileAccess.ReadWrite, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Storage,
                $"can't write the lock file {path}: {e.Message}",
                $"see whose it is, its mode and its mount: ls -ld {path} {Path.GetDirectoryName(path)}; what another user left there, give to "
                + "this one (chown -R), or set BACKUP_SPOOL_DIR (wal-archive push and receive) or BACKUP_STATE_DIR, or BACKUP_DIR when that is not "
                + "set, to a directory that this user may write",
                e);
        }
    }

    // One by one: the mode that .NET is given counts for the last directory only.
    internal static void MakeDirectory(string path)
    {
        if (!Directory.Exists(path))
        {
            MakeDirectory(Path.GetDirectoryName(path)!);
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            FolderOwner.Take(path);
        }
    }

    private static void Describe(FileStream file, TimeProvider time)
    {
        var text = string.Create(
            CultureInfo.InvariantCulture,
            $"pid {Environment.ProcessId} on {Environment.MachineName}, since {time.GetUtcNow():yyyy-MM-dd HH:mm:ss}Z\n");
        file.SetLength(0);
        file.Write(Encoding.UTF8.GetBytes(text));
    }

    private static BackupException CannotLock(string path, Exception e) => new(
        ErrorKind.Storage,
        $"can't take the lock {path}: {e.Message}",
        "check the directory and its free space: ls -ld and df on the path above",
        e);

    private static BackupException Held(string verb, string? subject, FileStream file)
    {
        var buffer = new byte[300];
        file.Position = 0;
        var holder = Encoding.UTF8.GetString(buffer, 0, file.Read(buffer)).Trim();
        var what = subject is null ? verb : $"{verb} of \"{subject}\"";
        return new BackupException(
            ErrorKind.Locked,
            $"another {what} is running{(holder.Length > 0 ? $" ({holder})" : string.Empty)}",
            "run again when it is done (backup waits with --lock-wait SECONDS), or see what it does: ps -p PID");
    }

    private static async Task<string> InstanceOfAsync(string stateDirectory, CancellationToken cancel)
    {
        var path = Path.Combine(stateDirectory, "instance");
        if (!File.Exists(path))
        {
            try
            {
                await using var file = new AtomicFile(
                    path, WriteMode.CreateNew, UnixFileMode.UserRead | UnixFileMode.UserWrite, ofFolder: true);
                await file.WriteAsync(Encoding.ASCII.GetBytes(Guid.NewGuid().ToString("n")), cancel);
                await file.CompleteAsync(cancel);
            }
            catch (FileExistsException)
            {
                // Another first run was faster: its identity counts.
            }
        }

        // It gets into the intents of sets, which others may read: never what a link in its place leads to.
        using var reader = new StreamReader(new FileStream(LocalFiles.OpenToRead(path), FileAccess.Read, bufferSize: 0));
        return (await reader.ReadToEndAsync(cancel)).Trim();
    }
}
