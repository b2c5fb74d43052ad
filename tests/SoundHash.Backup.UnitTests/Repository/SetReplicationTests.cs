using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Sets from one store to another: whole or not at all, and what is there already is kept or mended.</summary>
public sealed class SetReplicationTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly RecordingLog _log = new();
    private readonly TroubledStore _to;
    private RepositoryFixture _from = null!;
    private byte[] _content = null!;
    private Manifest _set = null!;

    public SetReplicationTests() => _to = new TroubledStore(new LocalObjectStore(_folder.Path), "to");

    private static CancellationToken Cancel => TestRun.Cancel;

    public async ValueTask InitializeAsync()
    {
        _from = await RepositoryFixture.OpenAsync();
        _content = TestRun.NewRandom().Noise(500_000);
        _set = TestSets.Manifest(
            "set", null, "soundhash", TestSets.Record("database.dump", _content), TestSets.Record("contents.json", [1, 2, 3], ObjectRole.Contents));
        await _from.Store.AddSetAsync(_set, _content, [1, 2, 3]);
    }

    public async ValueTask DisposeAsync()
    {
        await _from.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_set_is_copied_byte_by_byte_with_its_pin()
    {
        await SetPin.SetAsync(_from.Store, "set", pinned: true, TimeProvider.System, Cancel);

        var result = await RunAsync();

        Assert.Equal((2, 500_003, null), (result.Objects, result.Bytes, result.Error));
        var entry = Assert.Single((await _to.CatalogueAsync()).Sets);
        Assert.True(entry is { IsComplete: true, Pinned: true });
        Assert.Equal(_content, await File.ReadAllBytesAsync(Path.Combine(_folder.Path, "sets/set/database.dump"), Cancel));
        Assert.False(File.Exists(Path.Combine(_folder.Path, "sets/set/intent.json")));
        Assert.True(result.Seconds > 0);
        Assert.True(await RunAsync() is { Objects: 0, Seconds: 0 });
    }

    [Theory]
    [InlineData("complete", "database.dump")]
    [InlineData("complete", "contents.json")]
    [InlineData("complete", "SHA256SUMS")]
    [InlineData("complete", "manifest.json")]
    [InlineData("open", "intent.json")]
    public async Task What_fails_in_the_middle_leaves_no_set_and_the_next_run_goes_on(string step, string key)
    {
        _to.Break(step, key);
        await Assert.ThrowsAsync<StorageException>(() => RunAsync());
        Assert.Empty((await _to.CatalogueAsync()).Sets);

        _to.Break("none", string.Empty);
        var result = await RunAsync();

        Assert.True(Assert.Single((await _to.CatalogueAsync()).Sets).IsComplete);
        Assert.True(result.Objects < 2 || key is "database.dump" or "contents.json" or "intent.json");
    }

    [Fact]
    public async Task What_is_damaged_at_the_source_is_never_copied()
    {
        await File.WriteAllBytesAsync(Path.Combine(_from.Folder, "sets/set/database.dump"), new byte[500_000], Cancel);

        var e = await Assert.ThrowsAsync<BackupException>(() => RunAsync());

        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.Empty((await _to.CatalogueAsync()).Sets);
        Assert.False(File.Exists(Path.Combine(_folder.Path, "sets/set/database.dump")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_copy_that_is_damaged_or_lacks_something_is_mended(bool isGone)
    {
        await RunAsync();
        var path = Path.Combine(_folder.Path, "sets/set/database.dump");
        if (isGone)
        {
            File.Delete(path);
        }
        else
        {
            await File.WriteAllBytesAsync(path, new byte[500_000], Cancel);
        }

        Assert.Equal(1, (await RunAsync()).Objects);

        Assert.Equal(_content, await File.ReadAllBytesAsync(path, Cancel));
    }

    [Fact]
    public async Task Another_set_of_the_same_id_is_not_touched()
    {
        await _to.AddSetAsync(_set with { RunId = "another" }, _content, [1, 2, 3]);

        var e = await Assert.ThrowsAsync<BackupException>(() => RunAsync());

        Assert.Contains("is another one", e.Message, StringComparison.Ordinal);
        Assert.Equal("another", (await _to.CatalogueAsync()).Find("set").RunId);
    }

    private async Task<ReplicatedSet> RunAsync()
    {
        var replication = new SetReplication(
            _from.Store, _to, _from.Held, TestSets.Retention, 2, new TransferMeter(TimeProvider.System), TimeProvider.System, _log.Log);
        return await replication.RunAsync((await _from.Store.CatalogueAsync()).Sets.Single(), readBack: true, Cancel);
    }
}
