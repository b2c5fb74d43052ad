namespace SoundHash.Backup.Storage.Local;

/// <summary>An object of a local store: an <see cref="AtomicFile"/> with the store's errors.</summary>
internal sealed class LocalObjectWriter(LocalObjectStore store, string key, AtomicFile file) : ObjectWriter
{
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            await file.WriteAsync(buffer, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw store.Failed("write", key, e);
        }
    }

    public override async Task CompleteAsync(CancellationToken cancel)
    {
        try
        {
            await file.CompleteAsync(cancel);
        }
        catch (FileExistsException)
        {
            throw new ObjectExistsException(store.Name, key);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw store.Failed("write", key, e);
        }
    }

    public override ValueTask DisposeAsync() => file.DisposeAsync();
}
