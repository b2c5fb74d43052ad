using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>What is being read is not removed.</summary>
public sealed class SetUseTests : IAsyncLifetime
{
    private readonly List<string> _unmarked = [];
    private RepositoryFixture _repository = null!;

    public async ValueTask InitializeAsync()
    {
        _repository = await RepositoryFixture.OpenAsync();
        await AddAsync("newest", 0);
        await AddAsync("old", 31);
    }

    public ValueTask DisposeAsync() => _repository.DisposeAsync();

    [Fact]
    public async Task A_set_that_is_being_read_stays_whole_until_its_last_reader_is_done()
    {
        var one = await UseAsync("old");
        var other = await UseAsync("old");
        one.Dispose();
        var before = _repository.Files();

        var kept = (await ExpireAsync()).Single(static d => d.Set.Id == "old");
        Assert.Equal((false, "in use"), (kept.Expires, kept.Reason));
        Assert.Equal(before, _repository.Files());

        other.Dispose();
        Assert.True((await ExpireAsync()).Single(static d => d.Set.Id == "old").Expires);
        Assert.Equal(["newest"], (await _repository.Store.CatalogueAsync()).Sets.Select(static s => s.Id));
        Assert.Empty(Marks());
        Assert.Empty(_unmarked);
    }

    [Fact]
    public async Task Reading_a_set_keeps_no_other_from_being_removed()
    {
        using var use = await UseAsync("newest");

        Assert.True((await ExpireAsync()).Single(static d => d.Set.Id == "old").Expires);
    }

    [Fact]
    public async Task A_set_that_was_removed_before_it_was_marked_is_not_read()
    {
        await ExpireAsync();

        var e = await Assert.ThrowsAsync<BackupException>(() => UseAsync("old"));

        Assert.Equal((ErrorKind.Failed, "set old was removed"), (e.Kind, e.Message));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_set_that_somebody_else_only_looks_at_for_an_instant_is_read()
    {
        var time = new FakeTime();
        var probe = SetUse.TryExclude(_repository.StateDirectory, "old");
        var use = UseAsync("old", time);
        await time.UntilSomebodyWaitsAsync();

        probe!.Dispose();
        time.Advance(TimeSpan.FromSeconds(0.5));

        (await use).Dispose();
        Assert.Empty(_unmarked);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_set_that_is_being_removed_is_not_read()
    {
        var time = new FakeTime();
        using var alone = SetUse.TryExclude(_repository.StateDirectory, "old");
        var use = UseAsync("old", time);
        await time.UntilSomebodyWaitsAsync();
        time.Advance(TimeSpan.FromSeconds(1));

        var e = await Assert.ThrowsAsync<BackupException>(() => use);

        Assert.Equal((ErrorKind.Failed, "set old is being removed"), (e.Kind, e.Message));
    }

    [Fact]
    public async Task A_set_that_can_not_be_marked_is_read_all_the_same_and_somebody_is_told()
    {
        var file = Path.Combine(_repository.StateDirectory, "a file");
        await File.WriteAllTextAsync(file, "no directory", Cancel);

        using var use = await SetUse.BeginAsync(file, _repository.Store, "old", _unmarked.Add, TimeProvider.System, Cancel);

        Assert.StartsWith(
            "can't mark set old as being read, so that backup expire could remove it meanwhile: ",
            Assert.Single(_unmarked),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Marking_a_set_makes_no_file_where_a_link_in_the_mark_s_place_leads_to()
    {
        using var outside = new TempFolder();
        var locks = Path.Combine(_repository.StateDirectory, "locks");
        Directory.CreateDirectory(locks);
        File.CreateSymbolicLink(Path.Combine(locks, "set-old.lock"), outside["made"]);

        using (await UseAsync("old"))
        {
            Assert.Contains("set-old.lock", Assert.Single(_unmarked), StringComparison.Ordinal);
        }

        Assert.Throws<StorageException>(() => SetUse.TryExclude(_repository.StateDirectory, "old"));
        Assert.Empty(outside.Files());
    }

    [Fact]
    public async Task A_set_of_which_it_can_not_be_told_whether_it_is_in_use_stays_and_the_others_go()
    {
        await AddAsync("older", 33);
        // Stands for a file of another user; permissions mean nothing to root.
        Directory.CreateDirectory(Path.Combine(_repository.StateDirectory, "locks", "set-old.lock"));

        var decisions = await ExpireAsync();

        Assert.Equal(["older"], decisions.Where(static d => d.Expires).Select(static d => d.Set.Id));
        var kept = decisions.Single(static d => d.Set.Id == "old");
        Assert.Equal("can't tell whether it is in use", kept.Reason);
        Assert.Equal(ErrorKind.Storage, kept.Problem?.Kind);
        Assert.Equal(["newest", "old"], (await _repository.Store.CatalogueAsync()).Sets.Select(static s => s.Id));
    }

    [Fact]
    public async Task A_set_whose_manifest_somebody_else_has_deleted_is_left_to_them()
    {
        var store = new WatchedStore(_repository.Store);
        // The policy has decided by then, and reads nothing of the set that goes before its manifest.
        var manifest = Path.Combine(_repository.Folder, "sets", "old", RepositoryLayout.ManifestFile);
        var reads = 0;
        store.BeforeRead = key =>
        {
            if (key == "sets/old/manifest.json" && ++reads == 2)
            {
                File.Delete(manifest);
            }

            return Task.CompletedTask;
        };

        var kept = (await ExpireAsync(store)).Single(static d => d.Set.Id == "old");

        Assert.Equal((false, "its manifest is gone: somebody else removes it"), (kept.Expires, kept.Reason));
        Assert.Contains("sets/old/database.dump", _repository.Files());
    }

    private Task<SetUse> UseAsync(string id, TimeProvider? time = null) =>
        SetUse.BeginAsync(_repository.StateDirectory, _repository.Store, id, _unmarked.Add, time ?? TimeProvider.System, Cancel);

    private string[] Marks() => Directory.GetFiles(Path.Combine(_repository.StateDirectory, "locks"), "set-*");

    private Task<IReadOnlyList<RetentionDecision>> ExpireAsync(IObjectStore? store = null) =>
        new Expiry(
            store ?? _repository.Store,
            new SetVerifier(store ?? _repository.Store, Children.Launcher, new TransferMeter(TimeProvider.System)),
            2,
            TimeProvider.System,
            Logger.None)
            .RunAsync(new RetentionDays(30, 90, 365), _repository.Held, false, Cancel);

    private Task<Manifest> AddAsync(string id, int daysOld) =>
        _repository.Store.AddSetAsync(TestSets.Manifest(id, TimeProvider.System.GetUtcNow().AddDays(-daysOld)));
}
