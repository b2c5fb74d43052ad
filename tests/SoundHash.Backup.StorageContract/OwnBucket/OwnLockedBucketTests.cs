using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;

namespace SoundHash.Backup.StorageContract.OwnBucket;

/// <summary>
/// A bucket with object lock of whoever runs the tests (SHBACKUP_TEST_S3_LOCK is GOVERNANCE or COMPLIANCE). Its objects are locked
/// for two minutes, and stay.
/// </summary>
public sealed class OwnLockedBucketTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(100)]
    [InlineData(12_000_000)]
    public async Task What_is_locked_is_not_deleted_and_stays_so_for_longer_when_asked(int size)
    {
        var mode = Enum.Parse<S3Lock>(TestBucket.Variable("LOCK")!, ignoreCase: true);
        using var store = new S3ObjectStore(TestBucket.Options(Guid.NewGuid().ToString("n")) with { Lock = mode });
        var until = TimeProvider.System.GetUtcNow().AddMinutes(1);
        await using var writer = await store.OpenWriteAsync("sets/a/dump", WriteMode.CreateNew, new ObjectAttributes(RetainUntil: until), Cancel);
        await writer.WriteAsync(new byte[size], Cancel);
        await writer.CompleteAsync(Cancel);

        await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("sets/a/dump", Cancel));
        await store.RetainAsync("sets/a/dump", new ObjectAttributes(RetainUntil: until.AddMinutes(1)), Cancel);
        var e = await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("sets/a/dump", Cancel));
        Assert.Equal(until.AddMinutes(1), e.Until!.Value, TimeSpan.FromSeconds(1));
        Assert.NotNull(await store.StatAsync("sets/a/dump", Cancel));
    }
}
