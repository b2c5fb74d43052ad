using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>Opens stores of the scripted bucket, with little patience so that tests are fast.</summary>
internal static class GcsStores
{
    public static GcsOptions OptionsAt(Uri endpoint) => new(ScriptedGcs.Bucket)
    {
        Prefix = "a/prefix",
        Endpoint = endpoint,
        ChunkSize = GcsOptions.ChunkUnit,
        Stall = TimeSpan.FromSeconds(10),
        FirstWait = TimeSpan.FromMilliseconds(2),
    };

    public static GcsObjectStore Open(GcsOptions options) => new(options, new GivenTokens(ScriptedGcs.GoodToken));
}

/// <summary>Tokens that a test hands out, one after the other.</summary>
internal sealed class GivenTokens(params string[] tokens) : IAccessTokens
{
    private int _at;

    /// <summary>How often another one was asked for.</summary>
    public int Renewals => _at;

    /// <summary>Thrown in place of a token.</summary>
    public Exception? Failure { get; set; }

    public Task<string?> GetAsync(CancellationToken cancel) =>
        Failure is null ? Task.FromResult<string?>(tokens[Math.Min(_at, tokens.Length - 1)]) : Task.FromException<string?>(Failure);

    public Task<bool> RenewAsync(CancellationToken cancel)
    {
        _at++;
        return Task.FromResult(true);
    }
}
