using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Repository;

/// <summary>
/// One run of a kind at a time: flock(2) on a file in the state directory. The kernel gives it up when the holder dies,
/// however it dies; the file stays.
/// </summary>
public sealed partial class RunLock : IDisposable
{
    private const int ExclusiveNonBlocking = 2 | 4; // LOCK_EX | LOCK_NB
    private const int ReadWriteCreate = 0x2 | 0x40 | 0x80000; // O_RDWR | O_CREAT | O_CLOEXEC
    private const int OwnerOnly = 0x180; // 0600

    private readonly FileStream _file;

    private RunLock(FileStream file, string name, string instance)
    {
        _file = file;
        Name = name;
        Instance = instance;
    }

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
        var file = Open(path);
        try
        {
            var started = time.GetTimestamp();
            while (Flock(file.SafeFileHandle, ExclusiveNonBlocking) != 0)
            {
                if (time.GetElapsedTime(started) >= wait)
                {
                    throw Held(verb, subject, file);
                }

                await Task.Delay(TimeSpan.FromMilliseconds(200), time, cancel);
            }

            Describe(file, time);
            return new RunLock(file, name, InstanceOf(stateDirectory));
        }
        catch (IOException e)
        {
            await file.DisposeAsync();
            throw new BackupException(ErrorKind.Storage, $"can't write the lock file {path}: {e.Message}", "check the free space: df on the path above", e);
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.SetLength(0);
        _file.Dispose();
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
            // Not by FileStream's own means: .NET takes a shared flock on every file that it opens for writing, and can't
            // open one that another process has locked.
            var handle = OpenFile(path, ReadWriteCreate, OwnerOnly);
            return handle.IsInvalid
                ? throw new IOException(Marshal.GetLastPInvokeErrorMessage())
                : new FileStream(handle, FileAccess.ReadWrite, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Configuration, $"can't write the lock file {path}: {e.Message}", "set BACKUP_STATE_DIR, or BACKUP_DIR when it is not set, to a directory that this user may write", e);
        }
    }

    // One by one: the mode that .NET is given counts for the last directory only.
    private static void MakeDirectory(string path)
    {
        if (!Directory.Exists(path))
        {
            MakeDirectory(Path.GetDirectoryName(path)!);
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
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

    private static string InstanceOf(string stateDirectory)
    {
        var path = Path.Combine(stateDirectory, "instance");
        if (!File.Exists(path))
        {
            // Two first runs may race: the link lets one win, and both read the winner's. (File.Move would look whether there
            // is one and then rename over it.)
            var own = $"{path}.{Guid.NewGuid():n}";
            using (var file = new FileStream(OpenFile(own, ReadWriteCreate, OwnerOnly), FileAccess.ReadWrite, bufferSize: 0))
            {
                file.Write(Encoding.ASCII.GetBytes(Guid.NewGuid().ToString("n")));
            }

            _ = LocalFiles.TryLink(own, path);
            File.Delete(own);
        }

        return File.ReadAllText(path).Trim();
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenFile(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle fd, int operation);
}
