using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>Stores over one scripted bucket.</summary>
public sealed class GcsTestStores : IAsyncDisposable
{
    private readonly List<GcsObjectStore> _opened = [];

    public ScriptedGcs Gcs { get; } = new();

    public ScriptedServer Server => Gcs.Server;

    internal GivenTokens Tokens { get; } = new("token-1");

    /// <summary>A test's own options: chunks as small as they can be, waits that nobody notices.</summary>
    public GcsOptions Options => new(ScriptedGcs.Bucket)
    {
        Prefix = "main",
        Endpoint = Server.Address,
        ChunkSize = GcsOptions.ChunkUnit,
        Stall = TimeSpan.FromSeconds(10),
        FirstWait = TimeSpan.FromMilliseconds(1),
    };

    public IObjectStore Open(GcsOptions? options = null)
    {
        var store = new GcsObjectStore(options ?? Options, Tokens);
        _opened.Add(store);
        return store;
    }

    public async ValueTask DisposeAsync()
    {
        _opened.ForEach(static s => s.Dispose());
        await Gcs.DisposeAsync();
    }
}

/// <summary>Tokens that a test hands out, one after the other.</summary>
internal sealed class GivenTokens(params string[] tokens) : IAccessTokens
{
    private int _at;

    public int Renewals { get; private set; }

    /// <summary>Thrown in place of a token.</summary>
    public Exception? Failure { get; set; }

    public Task<string?> GetAsync(CancellationToken cancel) =>
        Failure is null ? Task.FromResult<string?>(tokens[Math.Min(_at, tokens.Length - 1)]) : Task.FromException<string?>(Failure);

    public Task<bool> RenewAsync(CancellationToken cancel)
    {
        Renewals++;
        _at++;
        return Task.FromResult(true);
    }
}
