using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Wal;

/// <summary>
/// A file that is fetched: it appears whole or not at all. Where the file system can do that, and nothing is in its place, it has
/// no name before, so that a kill leaves nothing in pg_wal, which nobody clears. It is not synced: PostgreSQL syncs what it takes over.
/// </summary>
internal sealed class FetchedFile : IAsyncDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly string _path;
    private readonly string _temporary;
    private bool _isNameless;

    /// <summary>Begins a file.</summary>
    /// <param name="name">The file in the archive.</param>
    /// <param name="path">Its place.</param>
    public FetchedFile(WalFileName name, string path)
    {
        _path = Path.GetFullPath(path);
        var directory = Path.GetDirectoryName(_path)!;
        _temporary = Path.Combine(directory, $"{AtomicFile.TemporaryPrefix}{name}-{Guid.NewGuid():n}");
        if (!File.Exists(_path) && LocalFiles.TryOpenNameless(directory, OwnerOnly, isReadable: true) is { } nameless)
        {
            _isNameless = true;
            Content = new FileStream(nameless, FileAccess.ReadWrite, bufferSize: 0);
            return;
        }

        Content = new FileStream(_temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            BufferSize = 0,
            UnixCreateMode = OwnerOnly,
        });
    }

    /// <summary>What is to be written.</summary>
    public FileStream Content { get; }

    /// <summary>Puts the file into its place.</summary>
    public async Task PublishAsync(CancellationToken cancel)
    {
        await Content.FlushAsync(cancel);
        if (_isNameless)
        {
            if (LocalFiles.TryName(Content.SafeFileHandle, _path))
            {
                return;
            }

            // Something has come into its place meanwhile.
            _ = LocalFiles.TryName(Content.SafeFileHandle, _temporary);
            _isNameless = false;
        }

        File.Move(_temporary, _path, overwrite: true);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Content.DisposeAsync();
        if (!_isNameless)
        {
            File.Delete(_temporary);
        }
    }
}
