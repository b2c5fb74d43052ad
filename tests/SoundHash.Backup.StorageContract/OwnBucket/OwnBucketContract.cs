using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;

namespace SoundHash.Backup.StorageContract.OwnBucket;

/// <summary>The contract over a bucket of whoever runs the tests; each test has a prefix of its own, and empties it.</summary>
public sealed class OwnBucketContract : ObjectStoreContract, IAsyncDisposable
{
    private readonly S3Options _options = TestBucket.Options(Guid.NewGuid().ToString("n"));

    protected override int BytesThatLeaveTraces => (_options.PartSize * 2) + 4;

    public async ValueTask DisposeAsync()
    {
        using var store = new S3ObjectStore(_options);
        await store.RemoveAbandonedWritesAsync(string.Empty, DateTimeOffset.MaxValue, CancellationToken.None);
        await foreach (var left in store.ListAsync(string.Empty, CancellationToken.None))
        {
            await store.DeleteAsync(left.Key, CancellationToken.None);
        }
    }

    protected override IObjectStore Open() => new S3ObjectStore(_options);
}
