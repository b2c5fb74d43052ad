using System.Runtime.CompilerServices;

namespace SoundHash.Backup.Storage.FanOut;

/// <summary>A store that tells whenever a call of it ended: who waits for it sees that it lives.</summary>
internal sealed class StoreWatch(IObjectStore store, Action moved) : IObjectStore
{
    public string Name => store.Name;

    public Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel) =>
        TellAsync(store.OpenWriteAsync(key, mode, attributes, cancel));

    public Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel) => TellAsync(store.OpenReadAsync(key, offset, cancel));

    public Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel) => TellAsync(store.StatAsync(key, cancel));

    public Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel) => TellAsync(store.ConfirmAsync(key, cancel));

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        await foreach (var item in store.ListAsync(prefix, cancel))
        {
            moved();
            yield return item;
        }
    }

    public Task DeleteAsync(string key, CancellationToken cancel) => TellAsync(store.DeleteAsync(key, cancel));

    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) => TellAsync(store.RetainAsync(key, attributes, cancel));

    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel) =>
        TellAsync(store.RemoveAbandonedWritesAsync(prefix, olderThan, cancel));

    public Task<long?> FreeBytesAsync(CancellationToken cancel) => TellAsync(store.FreeBytesAsync(cancel));

    private async Task TellAsync(Task call)
    {
        await call;
        moved();
    }

    private async Task<T> TellAsync<T>(Task<T> call)
    {
        var result = await call;
        moved();
        return result;
    }
}
