using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>
/// The contract of the GCS store, against the scripted one. With SHBACKUP_TEST_GCS_BUCKET it is against that bucket, by
/// application-default credentials, under a prefix of its own that each test leaves behind: let the bucket delete by age.
/// </summary>
public sealed class GcsContract : ObjectStoreContract, IAsyncDisposable
{
    private readonly ScriptedGcs _scripted = new();
    private readonly string? _bucket = Environment.GetEnvironmentVariable("SHBACKUP_TEST_GCS_BUCKET");
    private readonly string _prefix = $"shbackup-test/{Guid.NewGuid():N}";
    private readonly List<GcsObjectStore> _opened = [];

    public async ValueTask DisposeAsync()
    {
        _opened.ForEach(static s => s.Dispose());
        await _scripted.DisposeAsync();
    }

    // Google drops them after a week, and does not list them.
    protected override bool RemovesAbandonedWrites => false;

    protected override IObjectStore Open()
    {
        var store = string.IsNullOrEmpty(_bucket)
            ? GcsStores.Open(GcsStores.OptionsAt(_scripted.Server.Address) with { Stall = TimeSpan.FromSeconds(20) })
            : new GcsObjectStore(new GcsOptions(_bucket) { Prefix = _prefix });
        _opened.Add(store);
        return store;
    }
}
