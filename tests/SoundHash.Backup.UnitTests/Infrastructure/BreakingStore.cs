using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A real store each of whose reads breaks after so many bytes.</summary>
internal sealed class BreakingStore(IObjectStore store, int bytes) : IObjectStore
{
    public string Name => store.Name;

    public async Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel) =>
        new Breaking(await store.OpenReadAsync(key, offset, cancel), store.Name, bytes);

    public Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel) =>
        store.OpenWriteAsync(key, mode, attributes, cancel);

    public Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel) => store.StatAsync(key, cancel);

    public Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel) => store.ConfirmAsync(key, cancel);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, CancellationToken cancel) => store.ListAsync(prefix, cancel);

    public Task DeleteAsync(string key, CancellationToken cancel) => store.DeleteAsync(key, cancel);

    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) => store.RetainAsync(key, attributes, cancel);

    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel) =>
        store.RemoveAbandonedWritesAsync(prefix, olderThan, cancel);

    public Task<long?> FreeBytesAsync(CancellationToken cancel) => store.FreeBytesAsync(cancel);

    private sealed class Breaking(Stream stream, string name, int left) : ReadStage
    {
        private int _left = left;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_left == 0)
            {
                throw new StorageException($"store {name} broke");
            }

            var read = await stream.ReadAsync(buffer[..Math.Min(buffer.Length, _left)], cancellationToken);
            _left -= read;
            return read;
        }

        public override ValueTask DisposeAsync() => stream.DisposeAsync();
    }
}
