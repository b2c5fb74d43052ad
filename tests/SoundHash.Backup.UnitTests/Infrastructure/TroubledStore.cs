using System.Runtime.CompilerServices;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A real store whose calls fail, hang or are slow as a test says: by what is done and to which key.</summary>
internal sealed class TroubledStore(IObjectStore store, string name) : IObjectStore
{
    /// <summary>Called before each step: "open", "write", "complete", "read", "stat", "confirm", "list", "delete", "abandoned", "dispose".</summary>
    public Func<string, string, CancellationToken, Task> Before { get; set; } = static (_, _, _) => Task.CompletedTask;

    public string Name => name;

    /// <summary>Every such step of a key that ends so fails.</summary>
    public void Break(string step, string ending) => Before = (s, key, _) =>
        s == step && key.EndsWith(ending, StringComparison.Ordinal) ? throw new StorageException($"{name} can't {step} {key}") : Task.CompletedTask;

    /// <summary>Every such step hangs, whatever is cancelled, until the result is.</summary>
    public TaskCompletionSource Hang(string step)
    {
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Before = (s, _, _) => s == step ? end.Task : Task.CompletedTask;
        return end;
    }

    public async Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel)
    {
        await Before("open", key, cancel);
        return new Writer(this, key, await store.OpenWriteAsync(key, mode, attributes, cancel));
    }

    public async Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel)
    {
        await Before("read", key, cancel);
        return await store.OpenReadAsync(key, offset, cancel);
    }

    public async Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel)
    {
        await Before("stat", key, cancel);
        return await store.StatAsync(key, cancel);
    }

    public async Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel)
    {
        await Before("confirm", key, cancel);
        return await store.ConfirmAsync(key, cancel);
    }

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        await Before("list", prefix, cancel);
        await foreach (var item in store.ListAsync(prefix, cancel))
        {
            yield return item;
        }
    }

    public async Task DeleteAsync(string key, CancellationToken cancel)
    {
        await Before("delete", key, cancel);
        await store.DeleteAsync(key, cancel);
    }

    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) => store.RetainAsync(key, attributes, cancel);

    public async Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel)
    {
        await Before("abandoned", prefix, cancel);
        await store.RemoveAbandonedWritesAsync(prefix, olderThan, cancel);
    }

    public Task<long?> FreeBytesAsync(CancellationToken cancel) => store.FreeBytesAsync(cancel);

    private sealed class Writer(TroubledStore store, string key, ObjectWriter writer) : ObjectWriter
    {
        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await store.Before("write", key, cancellationToken);
            await writer.WriteAsync(buffer, cancellationToken);
        }

        public override async Task CompleteAsync(CancellationToken cancel)
        {
            await store.Before("complete", key, cancel);
            await writer.CompleteAsync(cancel);
        }

        public override async ValueTask DisposeAsync()
        {
            await store.Before("dispose", key, CancellationToken.None);
            await writer.DisposeAsync();
        }
    }
}
