using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;

namespace SoundHash.Backup.StorageContract.OwnBucket;

/// <summary>A bucket of whoever runs the tests, with credentials that may write and nothing else (SHBACKUP_TEST_S3_WRITE_ONLY).</summary>
public sealed class OwnWriteOnlyBucketTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(12_000_000)]
    public async Task Objects_are_made_and_nothing_is_read(int size)
    {
        using var store = new S3ObjectStore(TestBucket.Options(Guid.NewGuid().ToString("n")));
        await using var writer = await store.OpenWriteAsync("sets/a/dump", WriteMode.CreateNew, Cancel);
        await writer.WriteAsync(new byte[size], Cancel);
        await writer.CompleteAsync(Cancel);

        var e = await Assert.ThrowsAsync<StorageException>(() => store.StatAsync("sets/a/dump", Cancel));
        Assert.NotNull(e.Hint);
        await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync(string.Empty));
        await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("sets/a/dump", Cancel));
    }
}
