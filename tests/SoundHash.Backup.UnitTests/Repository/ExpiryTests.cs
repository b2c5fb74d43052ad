using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Carrying out what has expired, on a real store.</summary>
public sealed class ExpiryTests : IAsyncLifetime
{
    private static readonly RetentionDays Days = new(30, 90, 365);
    private RepositoryFixture _repository = null!;

    public async ValueTask InitializeAsync()
    {
        _repository = await RepositoryFixture.OpenAsync();
        await AddAsync("newest", 0);
        await AddAsync("recent", 29);
        await AddAsync("old", 31);
        await AddAsync("pinned", 400);
        await SetPin.SetAsync(_repository.Store, "pinned", pinned: true, TimeProvider.System, Cancel);
    }

    public ValueTask DisposeAsync() => _repository.DisposeAsync();

    [Fact]
    public async Task What_has_expired_goes_whole_and_the_rest_stays()
    {
        var decisions = await RunAsync(_repository.Store);

        Assert.Equal(["old"], decisions.Where(static d => d.Expires).Select(static d => d.Set.Id));
        Assert.Equal(["newest", "pinned", "recent"], Sets());
        Assert.False(Directory.Exists(Path.Combine(_repository.Folder, "sets", "old")));
        Assert.All((await _repository.Store.CatalogueAsync()).Sets, static s => Assert.True(s.IsComplete));
    }

    [Fact]
    public async Task Running_it_again_and_again_removes_no_more()
    {
        for (var round = 0; round < 3; round++)
        {
            await RunAsync(_repository.Store);
        }

        Assert.Equal(["newest", "pinned", "recent"], Sets());
    }

    [Fact]
    public async Task A_dry_run_decides_and_writes_nothing()
    {
        var before = _repository.Files();
        var store = new WatchedStore(_repository.Store) { BeforeWrite = static key => throw new InvalidOperationException($"wrote {key}") };

        var decisions = await RunAsync(store, dryRun: true);

        Assert.Equal(["old"], decisions.Where(static d => d.Expires).Select(static d => d.Set.Id));
        Assert.Equal(before, _repository.Files());
        Assert.Empty(store.Deleted);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-2)]
    [InlineData(24 * 365)]
    public async Task Nothing_is_removed_while_the_clocks_of_machine_and_store_differ(int hours)
    {
        var before = _repository.Files();

        var e = await Assert.ThrowsAsync<BackupException>(
            () => RunAsync(_repository.Store, time: new FakeTime(TimeProvider.System.GetUtcNow().AddHours(hours))));

        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.Contains("differ by more than 1 hour: nothing is removed", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, _repository.Files());
    }

    [Fact]
    public async Task Clocks_that_differ_by_minutes_are_good_enough_and_the_probe_is_gone()
    {
        await RunAsync(_repository.Store, time: new FakeTime(TimeProvider.System.GetUtcNow().AddMinutes(50)));

        Assert.Equal(["newest", "pinned", "recent"], Sets());
        Assert.DoesNotContain(_repository.Files(), static f => f.Contains("probe", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_set_that_is_pinned_at_the_last_moment_stays()
    {
        var store = new WatchedStore(_repository.Store);
        // The catalogue has listed the set, without a pin, when its manifest is read.
        store.BeforeRead = key => key == "sets/old/manifest.json"
            ? SetPin.SetAsync(_repository.Store, "old", pinned: true, TimeProvider.System, Cancel)
            : Task.CompletedTask;

        await RunAsync(store);

        Assert.Equal(["newest", "old", "pinned", "recent"], Sets());
    }

    [Fact]
    public async Task Leftovers_of_others_go_when_they_are_a_day_old()
    {
        using var expire = await _repository.TakeLockAsync("expire");
        var young = await _repository.BeginAsync();
        var old = await _repository.BeginAsync();
        _repository.MakeOlder(old.Id, TimeSpan.FromDays(2));

        await RunAsync(_repository.Store, held: expire);

        Assert.Equal(["newest", "pinned", "recent", young.Id], Sets());
    }

    [Fact]
    public async Task Pinning_and_unpinning_again_changes_nothing_and_the_manifest_is_never_rewritten()
    {
        var store = _repository.Store;
        var manifest = Path.Combine(_repository.Folder, "sets", "old", "manifest.json");
        var before = await File.ReadAllBytesAsync(manifest, Cancel);

        foreach (var (pinned, expected) in ((bool, bool)[])[(false, false), (true, true), (true, true), (false, false), (false, false)])
        {
            await SetPin.SetAsync(store, "old", pinned, TimeProvider.System, Cancel);
            Assert.Equal(expected, (await store.CatalogueAsync()).Sets.Single(static s => s.Id == "old").Pinned);
        }

        Assert.Equal(before, await File.ReadAllBytesAsync(manifest, Cancel));
    }

    [Fact]
    public async Task A_set_that_is_unpinned_expires_as_any_other()
    {
        await SetPin.SetAsync(_repository.Store, "pinned", pinned: false, TimeProvider.System, Cancel);

        await RunAsync(_repository.Store);

        Assert.Equal(["newest", "recent"], Sets());
    }

    private Task<Manifest> AddAsync(string id, int daysOld) =>
        _repository.Store.AddSetAsync(TestSets.Manifest(id, TimeProvider.System.GetUtcNow().AddDays(-daysOld)));

    private List<string> Sets() =>
        Directory.EnumerateDirectories(Path.Combine(_repository.Folder, "sets")).Select(static d => Path.GetFileName(d)!).Order(StringComparer.Ordinal).ToList();

    private Task<IReadOnlyList<RetentionDecision>> RunAsync(IObjectStore store, bool dryRun = false, TimeProvider? time = null, RunLock? held = null) =>
        new Expiry(store, time ?? TimeProvider.System, Logger.None).RunAsync(Days, held ?? _repository.Held, dryRun, Cancel);
}
