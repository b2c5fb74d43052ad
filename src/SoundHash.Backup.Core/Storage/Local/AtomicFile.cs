using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Storage.Local;

/// <summary>
/// Writes a file that appears whole or not at all: a temporary file beside its place, fsync, link(2) or rename(2),
/// fsync of the directory. A kill at any moment leaves the temporary file at most. Errors are IOExceptions and
/// UnauthorizedAccessExceptions.
/// </summary>
public sealed class AtomicFile : WriteStage
{
    /// <summary>How the names of temporary files begin.</summary>
    public const string TemporaryPrefix = ".writing-";

    private const int BytesBehind = 32 * 1024 * 1024;

    private readonly WriteMode _mode;
    private readonly string _path;
    private readonly string _directory;
    private readonly FileStream _file;
    private string? _temporary;
    private long _written;
    private long _begun;

    /// <summary>Begins a file.</summary>
    /// <param name="path">Its absolute path; the directory must exist.</param>
    /// <param name="mode">What happens when it exists.</param>
    /// <param name="fileMode">Its permissions.</param>
    /// <param name="group">Its group, or null for ours.</param>
    /// <param name="secret">
    /// True when a kill should leave nothing of it: it then has no name until it is whole, where the file system can do that.
    /// (Replacing needs a temporary name for the instant between the two.)
    /// </param>
    /// <param name="ofFolder">True when it is to belong to its folder's owner when root writes it.</param>
    public AtomicFile(
        string path, WriteMode mode, UnixFileMode fileMode, uint? group = null, bool secret = false, bool ofFolder = false)
    {
        _mode = mode;
        _path = path;
        _directory = Path.GetDirectoryName(path)!;
        if (secret && group is null && LocalFiles.TryOpenNameless(_directory, fileMode) is { } nameless)
        {
            _file = new FileStream(nameless, FileAccess.Write, bufferSize: 0);
            return;
        }

        _temporary = NewTemporary();
        _file = new FileStream(_temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            BufferSize = 0,
            UnixCreateMode = fileMode,
        });
        try
        {
            LocalFiles.Protect(_temporary, fileMode, group);
            if (ofFolder)
            {
                FolderOwner.Take(_file.SafeFileHandle, _temporary, keepGroup: group is not null);
            }
        }
        catch
        {
            _file.Dispose();
            RemoveTemporary();
            throw;
        }
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // Into the kernel's cache, on this thread: .NET has no asynchronous writes to files on Linux, only another thread for them.
        cancellationToken.ThrowIfCancellationRequested();
        _file.Write(buffer.Span);
        _written += buffer.Length;
        if (_written - _begun >= BytesBehind)
        {
            // The disk works while the rest comes, and not only when all of it has: fsync waits less then.
            LocalFiles.BeginToWrite(_file.SafeFileHandle, _begun, _written - _begun);
            _begun = _written;
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// Publishes the file, durably. When it has appeared and only its directory can't be synced, that is an error too: the
    /// name might be gone after a crash.
    /// </summary>
    /// <exception cref="FileExistsException">It exists and was to be new; it was not touched.</exception>
    public override Task CompleteAsync(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        _file.Flush(flushToDisk: true);
        var published = TryPublish();
        RemoveTemporary();

        // Also when it exists: the caller may go on with what is there, which must then be as durable as ours would be.
        LocalFiles.SyncDirectory(_directory);
        return published ? Task.CompletedTask : throw new FileExistsException(_path);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _file.DisposeAsync();
        RemoveTemporary();
    }

    private bool TryPublish()
    {
        if (_mode == WriteMode.CreateNew)
        {
            return _temporary is null ? LocalFiles.TryName(_file.SafeFileHandle, _path) : LocalFiles.TryPublish(_temporary, _path);
        }

        if (_temporary is null)
        {
            var name = NewTemporary();
            _ = LocalFiles.TryName(_file.SafeFileHandle, name);
            _temporary = name;
        }

        File.Move(_temporary, _path, overwrite: true);
        return true;
    }

    // Never an error: it would hide the one that brought us here, or make a failure of a file that is published. What
    // stays is taken by RemoveAbandonedWritesAsync.
    private void RemoveTemporary()
    {
        try
        {
            if (_temporary is not null)
            {
                File.Delete(_temporary);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _temporary = null;
        }
    }

    private string NewTemporary() => Path.Combine(_directory, $"{TemporaryPrefix}{Guid.NewGuid():n}");
}

/// <summary>A file that was to be new exists.</summary>
public sealed class FileExistsException(string path) : IOException($"{path} already exists");
