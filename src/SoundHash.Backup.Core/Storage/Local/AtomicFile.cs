using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Storage.Local;

/// <summary>
/// Writes a file that appears whole or not at all: a temporary file beside its place, fsync, link(2) or rename(2),
/// fsync of the directory. A kill at any moment leaves the temporary file at most. Errors are IOExceptions.
/// </summary>
public sealed class AtomicFile : WriteStage
{
    /// <summary>How the names of temporary files begin.</summary>
    public const string TemporaryPrefix = ".writing-";

    private readonly WriteMode _mode;
    private readonly string _path;
    private readonly string _temporary;
    private readonly FileStream _file;
    private bool _done;

    /// <summary>Begins a file.</summary>
    /// <param name="path">Its absolute path; the directory must exist.</param>
    /// <param name="mode">What happens when it exists.</param>
    /// <param name="fileMode">Its permissions.</param>
    /// <param name="group">Its group, or null for ours.</param>
    public AtomicFile(string path, WriteMode mode, UnixFileMode fileMode, uint? group = null)
    {
        _mode = mode;
        _path = path;
        _temporary = Path.Combine(Path.GetDirectoryName(path)!, $"{TemporaryPrefix}{Guid.NewGuid():n}");
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
        }
        catch
        {
            _file.Dispose();
            File.Delete(_temporary);
            throw;
        }
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _file.WriteAsync(buffer, cancellationToken);

    /// <summary>Publishes the file, durably.</summary>
    /// <exception cref="FileExistsException">It exists and was to be new; it was not touched.</exception>
    public override Task CompleteAsync(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        _file.Flush(flushToDisk: true);
        _file.Dispose();
        var directory = Path.GetDirectoryName(_path)!;
        if (_mode == WriteMode.Replace)
        {
            File.Move(_temporary, _path, overwrite: true);
        }
        else if (LocalFiles.TryLink(_temporary, _path))
        {
            File.Delete(_temporary);
        }
        else
        {
            // The caller may go on with what is there: it must then be as durable as what we would have written.
            LocalFiles.SyncDirectory(directory);
            throw new FileExistsException(_path);
        }

        _done = true;
        LocalFiles.SyncDirectory(directory);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _file.DisposeAsync();
        if (!_done)
        {
            File.Delete(_temporary);
        }
    }
}

/// <summary>A file that was to be new exists.</summary>
public sealed class FileExistsException(string path) : IOException($"{path} already exists");
