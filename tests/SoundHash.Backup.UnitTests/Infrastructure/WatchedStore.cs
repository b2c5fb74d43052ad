using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A real store that tells what is done to it, so that a test can act between two steps of somebody else.</summary>
internal sealed class WatchedStore(IObjectStore store) : IObjectStore
{
    public List<string> Deleted { get; } = [];

    public List<string> Confirmed { get; } = [];

    /// <summary>What was locked and until when, in order; it is not deleted before.</summary>
    public ConcurrentQueue<(string Key, DateTimeOffset? Until)> Locked { get; } = [];

    public Func<string, Task> BeforeRead { get; set; } = static _ => Task.CompletedTask;

    public Func<string, Task> BeforeWrite { get; set; } = static _ => Task.CompletedTask;

    public Func<string, Task> BeforeDelete { get; set; } = static _ => Task.CompletedTask;

    public Func<string, Task> BeforeList { get; set; } = static _ => Task.CompletedTask;

    public string Name => store.Name;

    public async Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel)
    {
        await BeforeWrite(key);
        if (attributes.RetainUntil is not null)
        {
            Locked.Enqueue((key, attributes.RetainUntil));
        }

        return await store.OpenWriteAsync(key, mode, attributes, cancel);
    }

    public async Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel)
    {
        await BeforeRead(key);
        return await store.OpenReadAsync(key, offset, cancel);
    }

    public Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel) => store.StatAsync(key, cancel);

    public Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel)
    {
        Confirmed.Add(key);
        return store.ConfirmAsync(key, cancel);
    }

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        await BeforeList(prefix);
        await foreach (var item in store.ListAsync(prefix, cancel))
        {
            yield return item;
        }
    }

    public async Task DeleteAsync(string key, CancellationToken cancel)
    {
        await BeforeDelete(key);
        if (Locked.Where(l => l.Key == key).Max(static l => l.Until) is { } until && until > TimeProvider.System.GetUtcNow())
        {
            throw new ObjectLockedException(Name, key, until);
        }

        Deleted.Add(key);
        await store.DeleteAsync(key, cancel);
    }

    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel)
    {
        Locked.Enqueue((key, attributes.RetainUntil));
        return store.RetainAsync(key, attributes, cancel);
    }

    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel) =>
        store.RemoveAbandonedWritesAsync(prefix, olderThan, cancel);

    public Task<long?> FreeBytesAsync(CancellationToken cancel) => store.FreeBytesAsync(cancel);
}
