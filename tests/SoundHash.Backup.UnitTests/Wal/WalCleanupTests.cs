using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>Clean-ups of a real store. Segment N was stored 100 - N days ago.</summary>
public sealed class WalCleanupTests : IAsyncLifetime
{
    private readonly RecordingLog _log = new();
    private readonly TempFolder _wal = new();
    private readonly TempFolder _files = new();
    private readonly DateTimeOffset _now = TimeProvider.System.GetUtcNow();
    private RepositoryFixture _repository = null!;
    private LocalObjectStore _store = null!;
    private WalArchive _archive = null!;

    public async ValueTask InitializeAsync()
    {
        _repository = await RepositoryFixture.OpenAsync();
        _store = new LocalObjectStore(_wal.Path);
        _archive = new WalArchive(_store, TestWal.System);
        for (var number = 1UL; number <= 100; number += 1)
        {
            await PutAsync(TestWal.Segment(1, number).Name, 100 - (int)number);
        }

        await PutAsync("00000001.history", 99);
        await AddSetAsync("old", 20);
        await AddSetAsync("base", 60);
        await AddSetAsync("young", 90);
    }

    public ValueTask DisposeAsync()
    {
        _wal.Dispose();
        _files.Dispose();
        return _repository.DisposeAsync();
    }

    [Fact]
    public async Task What_no_recovery_needs_goes_with_its_sums_and_the_rest_stays()
    {
        var result = Assert.Single(await RunAsync());
        Assert.Null(result.Problem);
        Assert.Equal([20, 21, .. Enumerable.Range(60, 41)], Left());
        Assert.Contains($"{TestWal.System}/00000001.history", _wal.Files());
        Assert.DoesNotContain(_wal.Files(), static f => f.Contains("probe", StringComparison.Ordinal));
        Assert.Equal(_wal.Files().Count(static f => f.EndsWith(".sha256", StringComparison.Ordinal)), Left().Count + 1);
        var again = Assert.Single(await RunAsync());
        Assert.DoesNotContain(again.Decisions, static d => d.Removes);
    }

    [Fact]
    public async Task What_was_removed_does_not_pass_for_lost_and_what_is_lost_beside_it_does()
    {
        await RunAsync();
        Assert.Empty(await GapsAsync());
        await _archive.DeleteAsync(TestWal.Name(TestWal.Segment(1, 70).Name), Cancel);
        Assert.Equal(TestWal.Segment(1, 70), Assert.Single(await GapsAsync()).First);
        await _archive.DeleteAsync(TestWal.Name(TestWal.Segment(1, 21).Name), Cancel);
        Assert.Equal([TestWal.Segment(1, 21), TestWal.Segment(1, 70)], (await GapsAsync()).Select(static g => g.First));
    }

    [Fact]
    public async Task A_dry_run_decides_the_same_and_writes_nothing()
    {
        var before = _wal.Files();
        var dry = Assert.Single(await RunAsync(dryRun: true)).Decisions;
        Assert.Equal(before, _wal.Files());
        Assert.Equal(dry, Assert.Single(await RunAsync()).Decisions);
    }

    [Fact]
    public async Task Nothing_goes_while_a_manifest_can_not_be_read()
    {
        await File.WriteAllTextAsync(Path.Combine(_repository.Folder, "sets", "young", "manifest.json"), "{", Cancel);
        await RefusedAsync(ErrorKind.Verification, "the manifest of set young can't be used");
    }

    [Fact]
    public async Task Nothing_goes_while_a_pinned_set_has_no_manifest()
    {
        await SetPin.SetAsync(_repository.Store, "old", pinned: true, TimeProvider.System, Cancel);
        File.Delete(Path.Combine(_repository.Folder, "sets", "old", "manifest.json"));
        await RefusedAsync(ErrorKind.Verification, "set old is pinned and has no manifest");
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-2)]
    public async Task Nothing_goes_while_the_clocks_differ(int hours) =>
        await RefusedAsync(ErrorKind.Storage, "differ by more than 1 hour", new FakeTime(_now.AddHours(hours)));

    [Fact]
    public async Task Nothing_goes_when_the_record_of_removals_can_not_be_read()
    {
        await _store.WriteAsync($"{TestWal.System}/removed.json", "{"u8.ToArray(), WriteMode.CreateNew, Cancel);
        await RefusedAsync(ErrorKind.Verification, "removed.json");
    }

    [Fact]
    public async Task Nothing_goes_without_a_good_base_backup_and_that_is_said()
    {
        foreach (var id in new[] { "old", "base", "young" })
        {
            await SetRemoval.RemoveFolderAsync(_repository.Store, id, Logger.None, Cancel);
        }

        var result = Assert.Single(await RunAsync());
        Assert.Contains("has no good base backup", result.Problem!.Message, StringComparison.Ordinal);
        Assert.Equal(100, Left().Count);
    }

    [Fact]
    public async Task The_set_that_recovery_is_to_begin_with_is_read_back_and_a_damaged_one_does_not_count()
    {
        await File.WriteAllBytesAsync(Path.Combine(_repository.Folder, "sets", "base", "volume-0000.tar"), [9, 9, 9], Cancel);
        await RunAsync();
        Assert.Equal(Enumerable.Range(20, 81), Left());
    }

    [Fact]
    public async Task A_set_with_damaged_pages_does_not_count()
    {
        await SetRemoval.RemoveFolderAsync(_repository.Store, "base", Logger.None, Cancel);
        await AddSetAsync("base", 60, static facts => facts with { DamagedPages = [new DamagedPage("base/5/16384", 7)] });
        await RunAsync();
        Assert.Equal(Enumerable.Range(20, 81), Left());
    }

    [Fact]
    public async Task A_set_without_the_log_that_makes_it_consistent_does_not_count()
    {
        await _archive.DeleteAsync(TestWal.Name(TestWal.Segment(1, 61).Name), Cancel);
        await RunAsync();
        Assert.Equal(Enumerable.Range(20, 81).Where(static n => n != 61), Left());
    }

    [Theory]
    [InlineData(null, 1)]
    [InlineData("none", 20)]
    [InlineData("0/A00000", 10)]
    [InlineData("nonsense", 1)]
    public async Task A_set_that_is_being_written_keeps_what_it_says_that_it_needs(string? walFrom, int first)
    {
        await using var writer = await _repository.BeginAsync(_repository.Held, SetKind.Physical);
        if (walFrom is not null)
        {
            await writer.SayWalFromAsync(walFrom, Cancel);
        }

        await RunAsync();
        Assert.Equal(first, Left()[0]);
    }

    [Fact]
    public async Task A_set_that_is_being_restored_keeps_the_log_behind_it()
    {
        using (await SetUse.BeginAsync(_repository.StateDirectory, _repository.Store, "old", static _ => { }, TimeProvider.System, Cancel))
        {
            await RunAsync();
        }

        Assert.Equal(Enumerable.Range(20, 81), Left());
    }

    [Fact]
    public async Task A_killed_clean_up_leaves_no_file_half_removed_and_nothing_that_looks_lost()
    {
        var store = new WatchedStore(_store);
        store.BeforeDelete = key => key.EndsWith(TestWal.Segment(1, 10).Name, StringComparison.Ordinal)
            ? throw new InvalidOperationException("killed here")
            : Task.CompletedTask;
        await Assert.ThrowsAsync<InvalidOperationException>(() => RunAsync(store: store));
        Assert.Equal(10, Left()[0]);
        Assert.Empty(await GapsAsync());
        await RunAsync();
        Assert.Equal([20, 21, .. Enumerable.Range(60, 41)], Left());
    }

    [Fact]
    public async Task The_archive_of_another_cluster_is_judged_by_its_own_sets()
    {
        var other = new WalArchive(_store, 42);
        await other.PutAsync(_files, TestWal.Segment(1, 3).Name, TestWal.Bytes(TestWal.Segment(1, 3), 42));
        MakeOlder(_wal[$"42/00000001/{TestWal.Segment(1, 3)}"], 90);
        var results = await RunAsync();
        Assert.Contains("system identifier 42 has no good base backup", results[0].Problem!.Message, StringComparison.Ordinal);
        Assert.True(await other.ContainsAsync(TestWal.Name(TestWal.Segment(1, 3).Name), Cancel));
        Assert.Equal(20, Left()[0]);
    }

    private async Task RefusedAsync(ErrorKind kind, string says, TimeProvider? time = null)
    {
        var before = _wal.Files();
        var e = await Assert.ThrowsAsync<BackupException>(() => RunAsync(time: time));
        Assert.Equal(kind, e.Kind);
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
        Assert.Equal(before, _wal.Files());
    }

    private Task<IReadOnlyList<WalCleanupResult>> RunAsync(bool dryRun = false, TimeProvider? time = null, IObjectStore? store = null)
    {
        var launcher = new ProcessLauncher(_log.Log);
        return new WalCleanup(
            [_repository.Store], store ?? _store, launcher, new TransferMeter(TimeProvider.System), static _ => throw new InvalidOperationException("no key"), 2, time ?? TimeProvider.System, _log.Log)
            .RunAsync(30, _repository.Held, dryRun, Cancel);
    }

    private async Task<IReadOnlyList<WalGap>> GapsAsync()
    {
        var (sets, size) = LoadedWal.SetsOf(await _repository.Store.CatalogueAsync(), TestWal.System);
        var wal = await LoadedWal.LoadAsync(_store, TestWal.System, size, static _ => throw new InvalidOperationException("no key"), Cancel);
        return new WalWalk(wal, sets.Select(static s => s.Manifest!).ToList(), null, _now).Timelines()
            .SelectMany(static t => t.Chain.Gaps).ToList();
    }

    // The times of the files, and not their content, are what counts here.
    private async Task PutAsync(string name, int daysAgo)
    {
        await _archive.PutAsync(_files, name, [1, 2, 3]);
        MakeOlder(_wal[WalLayout.KeyOf(TestWal.System, TestWal.Name(name))], daysAgo);
    }

    private void MakeOlder(string path, int days) => File.SetLastWriteTimeUtc(path, _now.UtcDateTime.AddDays(-days));

    private async Task AddSetAsync(string id, ulong segment, Func<PhysicalFacts, PhysicalFacts>? change = null)
    {
        var facts = TestWal.Facts(1, TestWal.At(segment, 40), TestWal.At(segment + 1, 40));
        var manifest = TestWal.Physical(id, change?.Invoke(facts) ?? facts, _now.AddDays((int)segment - 100)) with
        {
            Objects = [TestSets.Record("volume-0000.tar", [1, 2, 3], ObjectRole.Volume)],
        };
        await _repository.Store.AddSetAsync(manifest);
    }

    private List<int> Left() => _wal.Files()
        .Where(f => f.StartsWith($"{TestWal.System}/00000001/", StringComparison.Ordinal) && !f.EndsWith(".sha256", StringComparison.Ordinal))
        .Select(static f => Convert.ToInt32(f[^8..], 16)).Order().ToList();
}
