using System.Security.Cryptography;
using Amazon.Runtime;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;
using SoundHash.Backup.StorageContract.Swift;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>The contract over a real OpenStack Swift, the strict kind of store; each test has a prefix of its own.</summary>
public sealed class SwiftS3Contract(SwiftServer swift) : ObjectStoreContract, IClassFixture<SwiftServer>
{
    private const int PartSize = 1024 * 1024;
    private readonly string _prefix = Guid.NewGuid().ToString("n");

    protected override int BytesThatLeaveTraces => (PartSize * 2) + 4;

    protected override IObjectStore Open() => OpenStore();

    [Fact]
    public async Task It_is_found_out_that_it_knows_no_conditional_writes()
    {
        using var store = OpenStore();

        Assert.Equal(ConditionalWrites.Unsupported, await store.KnowConditionalWritesAsync(Cancel));
    }

    [Fact]
    public async Task A_large_object_goes_in_parts_and_comes_back_whole_and_from_its_middle()
    {
        using var store = OpenStore();
        var bytes = new byte[100_000_000];
        new Random(1).NextBytes(bytes);
        await using (var writer = await store.OpenWriteAsync("large", WriteMode.CreateNew, Cancel))
        {
            await writer.WriteAsync(bytes, Cancel);
            await writer.CompleteAsync(Cancel);
        }

        foreach (var offset in (int[])[0, 50_000_001])
        {
            await using var stored = await store.OpenReadAsync("large", offset, Cancel);
            Assert.Equal(SHA256.HashData(bytes.AsSpan(offset)), await SHA256.HashDataAsync(stored, Cancel));
        }
    }

    private S3ObjectStore OpenStore() => new(
        new S3Options("ready") { Prefix = _prefix, Endpoint = swift.Endpoint, PartSize = PartSize, FirstWait = TimeSpan.FromMilliseconds(50) },
        new BasicAWSCredentials(swift.AccessKey, swift.SecretKey));
}
