using Amazon.Runtime;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>The contract over the scripted S3.</summary>
public abstract class ScriptedS3ContractOf(Conditions conditions) : ObjectStoreContract, IAsyncDisposable
{
    private readonly ScriptedS3 _s3 = new() { Conditions = conditions };

    protected override int BytesThatLeaveTraces => (S3Stores.PartSize * 2) + 4;

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return _s3.DisposeAsync();
    }

    protected override IObjectStore Open() => S3Stores.Open(_s3);
}

/// <summary>Of a store that honours conditional writes, as AWS does.</summary>
public sealed class ScriptedS3Contract() : ScriptedS3ContractOf(Conditions.Honoured);

/// <summary>Of a store that refuses them.</summary>
public sealed class ScriptedStrictS3Contract() : ScriptedS3ContractOf(Conditions.Refused);

/// <summary>Of a store that ignores them, which is the worst of all.</summary>
public sealed class ScriptedCarelessS3Contract() : ScriptedS3ContractOf(Conditions.Ignored);

/// <summary>Opens stores of the scripted S3, with short waits so that tests are fast.</summary>
internal static class S3Stores
{
    public const int PartSize = 256 * 1024;
    public const string Secret = "the-secret-key-of-the-scripted-store";

    public static S3Options Options(ScriptedS3 s3) => OptionsAt(s3.Server.Address);

    public static S3Options OptionsAt(Uri endpoint) => new(ScriptedS3.Bucket)
    {
        Prefix = "a/prefix",
        Endpoint = endpoint,
        PartSize = PartSize,
        // Longer than a busy machine makes a test wait; those of stalls have less.
        Stall = TimeSpan.FromSeconds(10),
        FirstWait = TimeSpan.FromMilliseconds(2),
    };

    public static S3ObjectStore Open(ScriptedS3 s3) => Open(Options(s3));

    public static S3ObjectStore Open(S3Options options) => new(options, new BasicAWSCredentials(ScriptedS3.AccessKey, Secret));
}
