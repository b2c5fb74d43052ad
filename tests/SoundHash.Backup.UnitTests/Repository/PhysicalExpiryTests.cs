using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Base backups expire by cluster, and the newest good one never: good is one that can be made consistent.</summary>
public sealed class PhysicalExpiryTests : IAsyncLifetime
{
    private readonly RecordingLog _log = new();
    private readonly TempFolder _wal = new();
    private readonly TempFolder _files = new();
    private readonly DateTimeOffset _now = TimeProvider.System.GetUtcNow();
    private RepositoryFixture _repository = null!;
    private WalArchive _archive = null!;

    public async ValueTask InitializeAsync()
    {
        _repository = await RepositoryFixture.OpenAsync();
        _archive = new WalArchive(new LocalObjectStore(_wal.Path), TestWal.System);
        for (var number = 1UL; number <= 9; number++)
        {
            await _archive.PutAsync(_files, TestWal.Segment(1, number).Name, TestWal.Bytes(TestWal.Segment(1, number)));
        }
    }

    public ValueTask DisposeAsync()
    {
        _wal.Dispose();
        _files.Dispose();
        return _repository.DisposeAsync();
    }

    [Fact]
    public async Task The_newest_good_one_never_goes_however_old()
    {
        await AddAsync("older", 1, 300);
        await AddAsync("newest", 3, 200);
        await RunAsync();
        Assert.Equal(["newest"], Sets());
    }

    [Fact]
    public async Task Sets_of_a_database_do_not_stand_for_those_of_its_cluster()
    {
        await AddAsync("physical", 1, 300);
        await _repository.Store.AddSetAsync(TestSets.Manifest("logical", _now));
        await RunAsync();
        Assert.Equal(["logical", "physical"], Sets());
    }

    [Fact]
    public async Task Sets_of_another_cluster_do_not_stand_for_it()
    {
        await AddAsync("mine", 1, 300);
        await AddAsync("other", 3, 0, static m => m with { SystemIdentifier = "42" });
        await RunAsync();
        Assert.Equal(["mine", "other"], Sets());
    }

    [Fact]
    public async Task One_with_damaged_pages_is_not_good_and_the_one_before_it_stays()
    {
        await AddAsync("good", 1, 300);
        await AddAsync("damaged", 3, 200, static m => m with { Physical = m.Physical! with { DamagedPages = [new DamagedPage("base/5/1259", 0)] } });
        var decisions = await RunAsync();
        Assert.Equal(["damaged", "good"], Sets());
        Assert.Contains("pages were damaged", decisions.Single(static d => d.Set.Id == "damaged").Damage!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(9)]
    [InlineData(10)]
    public async Task One_without_the_log_that_makes_it_consistent_is_not_good_and_the_one_before_it_stays(ulong segment)
    {
        await AddAsync("good", 1, 300);
        await AddAsync("lacking", segment, 200);
        var decisions = await RunAsync();
        Assert.Equal(["good", "lacking"], Sets());
        var damage = decisions.Single(static d => d.Set.Id == "lacking").Damage!;
        Assert.Equal(ErrorKind.Verification, damage.Kind);
        Assert.Contains($"WAL segment {TestWal.Segment(1, 10)} is not in store", damage.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_whose_log_was_damaged_since_it_was_archived_is_not_good_and_the_one_before_it_stays()
    {
        await AddAsync("good", 1, 300);
        await AddAsync("damaged", 5, 200);
        var path = Directory.GetFiles(_wal.Path, TestWal.Segment(1, 6).Name, SearchOption.AllDirectories).Single();
        var bytes = await File.ReadAllBytesAsync(path, Cancel);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(path, bytes, Cancel);
        await RunAsync();
        Assert.Equal(["damaged", "good"], Sets());
    }

    // On a machine without the key, of files that a script archived; damage of the form looks the same to age.
    [Fact]
    public async Task Log_that_no_key_opens_is_told_of_as_unknown_and_neither_good_nor_damaged()
    {
        await AddAsync("set", 5, 200);
        var path = Directory.GetFiles(_wal.Path, TestWal.Segment(1, 6).Name, SearchOption.AllDirectories).Single();
        await File.WriteAllTextAsync(path, "age-encryption.org/v1\n-> X25519 of another\n", Cancel);
        await File.WriteAllLinesAsync($"{path}.sha256", (await File.ReadAllLinesAsync($"{path}.sha256", Cancel)).Take(1), Cancel);
        var check = new ConsistencyCheck(new LocalObjectStore(_wal.Path), static _ => throw new BackupException(ErrorKind.Encryption, "no key"));
        var manifest = (await Catalogue.LoadAsync(_repository.Store, Cancel)).Sets.Single().Manifest!;

        var found = Assert.Single(await check.DamageAsync(manifest, null, Cancel));

        Assert.Equal(ErrorKind.Encryption, found.Kind);
        Assert.Contains("whether set set can be made consistent is not known", found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_archive_that_is_not_there_makes_none_of_them_good_and_nothing_goes()
    {
        await AddAsync("older", 1, 300);
        await AddAsync("newest", 3, 200);
        _wal.Dispose();
        await RunAsync();
        Assert.Equal(["newest", "older"], Sets());
    }

    private async Task<IReadOnlyList<RetentionDecision>> RunAsync()
    {
        var verifier = new SetVerifier(_repository.Store, new ProcessLauncher(_log.Log), new TransferMeter(TimeProvider.System));
        var wal = new ConsistencyCheck(new LocalObjectStore(_wal.Path), static _ => throw new InvalidOperationException("no key"));
        return await new Expiry(_repository.Store, verifier, 2, TimeProvider.System, _log.Log, wal)
            .RunAsync(new RetentionDays(30, 90, 365), _repository.Held, dryRun: false, Cancel);
    }

    private async Task AddAsync(string id, ulong segment, int daysAgo, Func<Manifest, Manifest>? change = null)
    {
        var facts = TestWal.Facts(1, TestWal.At(segment, 40), TestWal.At(segment + 1, 40));
        var manifest = TestWal.Physical(id, facts, _now.AddDays(-daysAgo));
        await _repository.Store.AddSetAsync(change?.Invoke(manifest) ?? manifest);
    }

    private List<string> Sets() =>
        Directory.GetDirectories(Path.Combine(_repository.Folder, "sets")).Select(static d => Path.GetFileName(d)).Order().ToList();
}
