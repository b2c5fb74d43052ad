using Serilog.Events;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Carrying out what has expired, on a real store.</summary>
public sealed class ExpiryTests : IAsyncLifetime
{
    private static readonly RetentionDays Days = new(30, 90, 365);
    private readonly RecordingLog _log = new();
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
    public async Task A_set_that_the_store_keeps_locked_is_skipped_whole_and_said_and_others_go()
    {
        await AddAsync("older", 32);
        var until = TimeProvider.System.GetUtcNow().AddDays(9);
        var store = new WatchedStore(_repository.Store);
        store.Locked.Enqueue(("sets/old/manifest.json", until));
        var before = FilesOf("old");

        var decisions = await RunAsync(store);

        Assert.Equal(["older"], decisions.Where(static d => d.Expires).Select(static d => d.Set.Id));
        var locked = decisions.Single(static d => d.Set.Id == "old");
        Assert.Contains($"but locked in store local until {until:yyyy-MM-dd}", locked.Reason, StringComparison.Ordinal);
        Assert.Equal((null, null), (locked.Problem, locked.Damage));
        Assert.Equal(before, FilesOf("old"));
    }

    // Of a run that was killed when it had locked some objects and not yet written its manifest, say.
    [Fact]
    public async Task What_is_locked_of_a_leftover_stays_with_its_intent_and_goes_when_its_time_is_over()
    {
        await using (var writer = await _repository.BeginAsync())
        {
            await _repository.WriteObjectAsync(writer, "database.dump", "locked");
            await _repository.WriteObjectAsync(writer, "globals.sql", "free");
            Directory.Move(Path.Combine(_repository.Folder, "sets", writer.Id), Path.Combine(_repository.Folder, "sets", "killed"));
        }

        _repository.MakeOlder("killed", TimeSpan.FromDays(2));
        var store = new WatchedStore(_repository.Store);
        var key = FilesOf("killed").Single(static f => f.Contains("database.dump", StringComparison.Ordinal));
        store.Locked.Enqueue((key, TimeProvider.System.GetUtcNow().AddDays(9)));

        await RunAsync(store);

        Assert.Equal([key, "sets/killed/intent.json"], FilesOf("killed"));
        Assert.Contains("1 objects of set killed", Assert.Single(_log.Messages(LogEventLevel.Warning)), StringComparison.Ordinal);
        store.Locked.Clear();
        await RunAsync(store);
        Assert.Empty(FilesOf("killed"));
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
        store.BeforeRead = key => key == "sets/old/manifest.json" ? PinAsync("old") : Task.CompletedTask;

        await RunAsync(store);

        Assert.Equal(["newest", "old", "pinned", "recent"], Sets());
    }

    [Fact]
    public async Task A_set_that_is_pinned_while_its_manifest_is_deleted_stays_as_it_was()
    {
        var manifest = Path.Combine(_repository.Folder, "sets", "old", "manifest.json");
        var before = await File.ReadAllBytesAsync(manifest, Cancel);
        var store = PinnedWhileItIsRemoved();

        var decisions = await RunAsync(store);

        Assert.Equal((false, "pinned"), decisions.Where(static d => d.Set.Id == "old").Select(static d => (d.Expires, d.Reason)).Single());
        Assert.Equal(before, await File.ReadAllBytesAsync(manifest, Cancel));
        Assert.True(
            (await _repository.Store.CatalogueAsync()).Sets.Single(static s => s.Id == "old") is { IsComplete: true, Pinned: true });
        Assert.Equal(["newest", "old", "pinned", "recent"], Sets());
    }

    [Fact]
    public async Task Who_pins_a_set_that_is_removed_at_that_moment_is_told_and_leaves_nothing()
    {
        var store = new WatchedStore(_repository.Store)
        {
            BeforeWrite = key => key == "sets/old/keep.json" ? SetRemoval.RemoveFolderAsync(
                _repository.Store,
                "old",
                _log.Log,
                Cancel) : Task.CompletedTask,
        };

        var e = await Assert.ThrowsAsync<BackupException>(() => SetPin.SetAsync(store, "old", pinned: true, TimeProvider.System, Cancel));

        Assert.Equal((ErrorKind.Failed, "set old was removed while it was being pinned"), (e.Kind, e.Message));
        Assert.Equal(["newest", "pinned", "recent"], Sets());
    }

    [Fact]
    public async Task Nothing_is_lost_of_a_pinned_set_whose_manifest_can_not_be_put_back()
    {
        var store = PinnedWhileItIsRemoved();
        store.BeforeWrite = static key => key == "sets/old/manifest.json" ? throw new StorageException("disk full") : Task.CompletedTask;

        var e = await Assert.ThrowsAsync<StorageException>(() => RunAsync(store));
        _repository.MakeOlder("old", TimeSpan.FromDays(9));
        await RunAsync(_repository.Store);

        Assert.Contains(
            "set old was pinned while it was removed, and its manifest can't be put back: disk full",
            e.Message,
            StringComparison.Ordinal);
        Assert.Contains("sets/old/database.dump", _repository.Files());
        Assert.Contains("set \"old\" is pinned and has no manifest; it is left as it is", _log.Messages(LogEventLevel.Warning));
    }

    [Fact]
    public async Task A_newest_set_that_is_not_as_it_was_written_does_not_push_out_the_last_good_one()
    {
        await AddAsync("older", 41);
        Damage("newest");
        Damage("recent");

        var decisions = await RunAsync(_repository.Store);

        Assert.Equal(["newest", "old", "pinned", "recent"], Sets());
        Assert.Equal(["newest", "recent"], decisions.Where(static d => d.Damage is not null).Select(static d => d.Set.Id));
        Assert.Equal("the newest good set of \"soundhash\"", decisions.Single(static d => d.Set.Id == "old").Reason);
    }

    [Fact]
    public async Task Of_a_database_whose_sets_are_all_bad_nothing_is_removed()
    {
        await AddAsync("older", 41);
        foreach (var id in Sets())
        {
            Damage(id);
        }

        var decisions = await RunAsync(_repository.Store);

        Assert.DoesNotContain(decisions, static d => d.Expires);
        Assert.Equal(["newest", "old", "older", "pinned", "recent"], Sets());
        // The rest was not looked at, since nothing was left that it could have been removed for.
        Assert.Equal(
            ["newest", "recent", "old"],
            decisions.Where(static d => d.Damage?.Kind == ErrorKind.Verification).Select(static d => d.Set.Id));
        Assert.Equal("the newest complete set of \"soundhash\"", decisions.Single(static d => d.Set.Id == "older").Reason);
    }

    [Fact]
    public async Task A_dry_run_reads_the_newest_set_back_as_well_and_decides_the_same()
    {
        await AddAsync("older", 41);
        Damage("newest");
        Damage("recent");

        var dry = await RunAsync(_repository.Store, dryRun: true);
        var real = await RunAsync(_repository.Store);

        Assert.Equal(real.Select(Shown), dry.Select(Shown));
        Assert.Contains(
            _log.Messages(LogEventLevel.Debug), static m => m.StartsWith(
                "the clock of store \"local\" is not compared",
                StringComparison.Ordinal));

        static (
            string Id,
            bool Expires,
            string Reason,
            string? Damage) Shown(RetentionDecision d) => (d.Set.Id, d.Expires, d.Reason, d.Damage?.Message);
    }

    [Fact]
    public async Task The_newest_set_is_read_back_only_for_databases_that_lose_a_set()
    {
        var read = new List<string>();
        await _repository.Store.AddSetAsync(TestSets.Manifest("other", TimeProvider.System.GetUtcNow().AddDays(-400), "other"));
        var store = new WatchedStore(_repository.Store)
        {
            BeforeRead = key =>
            {
                read.Add(key);
                return Task.CompletedTask;
            },
        };

        await RunAsync(store);

        Assert.Equal(["sets/newest/database.dump"], read.Where(static k => k.EndsWith(".dump", StringComparison.Ordinal)));
        Assert.Contains("reading set \"newest\" (0 MiB) back before older sets are removed", _log.Messages(LogEventLevel.Information));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nothing_is_removed_while_the_newest_set_lies_in_the_future(bool dryRun)
    {
        await AddAsync("future", -1);

        var e = await Assert.ThrowsAsync<BackupException>(() => RunAsync(_repository.Store, dryRun));

        Assert.Equal(ErrorKind.Failed, e.Kind);
        Assert.Contains("but set future started at ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith(": nothing is removed", e.Message, StringComparison.Ordinal);
        Assert.Equal(["future", "newest", "old", "pinned", "recent"], Sets());
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

    private WatchedStore PinnedWhileItIsRemoved() =>
        new(_repository.Store) { BeforeDelete = key => key == "sets/old/manifest.json" ? PinAsync("old") : Task.CompletedTask };

    private Task PinAsync(string id) => SetPin.SetAsync(_repository.Store, id, pinned: true, TimeProvider.System, Cancel);

    private Task<Manifest> AddAsync(string id, int daysOld) =>
        _repository.Store.AddSetAsync(TestSets.Manifest(id, TimeProvider.System.GetUtcNow().AddDays(-daysOld)));

    private List<string> FilesOf(string id) => _repository.Files().Where(f => f.StartsWith($"sets/{id}/", StringComparison.Ordinal)).ToList();

    private List<string> Sets() =>
        Directory.EnumerateDirectories(
            Path.Combine(_repository.Folder, "sets")).Select(static d => Path.GetFileName(d)!).Order(StringComparer.Ordinal).ToList();

    private Task<IReadOnlyList<RetentionDecision>> RunAsync(
        IObjectStore store,
        bool dryRun = false,
        TimeProvider? time = null,
        RunLock? held = null) =>
        new Expiry(
            store,
            new SetVerifier(store, Children.Launcher, new TransferMeter(TimeProvider.System)),
            2,
            time ?? TimeProvider.System,
            _log.Log)
            .RunAsync(Days, held ?? _repository.Held, dryRun, Cancel);

    private void Damage(string id) => File.WriteAllBytes(Path.Combine(_repository.Folder, "sets", id, "database.dump"), [1, 2, 4]);
}
