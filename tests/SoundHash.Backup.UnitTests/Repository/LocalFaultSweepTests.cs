using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>
/// Each call to a directory as a store fails once, one in each run: the run fails or succeeds, no half set is visible, and the next run
/// brings all to where an undisturbed one does. The same over HTTP, through the executable: the integration tests.
/// </summary>
public sealed class LocalFaultSweepTests : IDisposable
{
    private const string Segment = "000000010000000000000003";

    private readonly TempFolder _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public Task Each_call_of_a_backup() => SweepAsync(
        static _ => Task.CompletedTask,
        async (repository, store) =>
        {
            var subject = new SetSubject("7300000000000000001", SetKind.Logical, "soundhash");
            await new RepositoryGuard(store, TimeProvider.System, Logger.None).PrepareAsync(subject, allowNew: false, repository.Held, TestSets.Noon, Cancel);
            await using var writer = await SetWriter.BeginAsync(
                StoreGroups.Of(store), "soundhash_backup", repository.Held, RepositoryFixture.Plain, TestSets.Keeping, TimeProvider.System, Logger.None, Cancel);
            var record = await repository.WriteObjectAsync(writer, "database.dump", "the dump");
            await writer.CommitAsync(TestSets.Manifest(writer.Id, objects: record), Cancel);
            return [];
        });

    [Fact]
    public Task Each_call_of_an_expiry() => SweepAsync(
        async repository =>
        {
            await AddAsync(repository.Store, "newest", 1);
            await AddAsync(repository.Store, "old", 40);
            await AddAsync(repository.Store, "pinned", 50);
            await SetPin.SetAsync(repository.Store, "pinned", pinned: true, TimeProvider.System, Cancel);
        },
        async (repository, store) =>
        {
            var verifier = new SetVerifier(store, Children.Launcher, new TransferMeter(TimeProvider.System));
            var decisions = await new Expiry(store, verifier, 2, TimeProvider.System, Logger.None)
                .RunAsync(new RetentionDays(30, 90, 365), repository.Held, dryRun: false, Cancel);
            return decisions.SelectMany(static d => new[] { d.Damage, d.Problem }).OfType<BackupException>();
        },
        "newest",
        "pinned");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Each_call_of_a_replication(bool toFails)
    {
        using var folder = new TempFolder();
        var source = new LocalObjectStore(folder.Path);
        await AddAsync(source, "set", 1);
        await new WalArchive(source, TestWal.System).PutAsync(_files, Segment, TestWal.Bytes(TestWal.Segment(1, 3)));
        await SweepAsync(
            static _ => Task.CompletedTask,
            async (repository, troubled) =>
            {
                // The store that the sweep lays out anew is the one that is written to; the other one fails through it.
                var from = toFails ? source : (IObjectStore)new TroubledStore(source, "from") { Before = troubled.Before };
                var to = toFails ? troubled : (IObjectStore)repository.Store;
                var replication = new SetReplication(
                    from, to, repository.Held, TestSets.Retention, 2, new TransferMeter(TimeProvider.System), TimeProvider.System, Logger.None);
                await replication.RunAsync((await from.CatalogueAsync()).Sets.Single(), readBack: false, Cancel);
                var wal = new WalReplication(new WalArchive(from, TestWal.System), new WalArchive(to, TestWal.System), 2, TimeProvider.System, Logger.None);
                return (await wal.RunAsync(new HashSet<WalFileName>(), onlyNeeded: false, Cancel)).Errors;
            });
    }

    [Fact]
    public Task Each_call_of_archiving_a_segment() => SweepAsync(
        static _ => Task.CompletedTask,
        async (_, store) =>
        {
            var archive = new WalArchive(store, TestWal.System);
            await archive.AdmitAsync(hasArchived: false, TestSets.Noon, Cancel);
            await archive.PutAsync(_files, Segment, TestWal.Bytes(TestWal.Segment(1, 3)));
            Assert.True(await archive.IsStoredAsItWasAsync(TestWal.Name(Segment), null, Cancel));
            return [];
        });

    private static CancellationToken Cancel => TestRun.Cancel;

    private static Task<Manifest> AddAsync(IObjectStore store, string id, int daysOld) =>
        store.AddSetAsync(TestSets.Manifest(id, TimeProvider.System.GetUtcNow().AddDays(-daysOld)));

    /// <summary>Fails each call in turn.</summary>
    /// <param name="lay">Lays out what is there before each run.</param>
    /// <param name="run">Runs, and returns what it says is wrong.</param>
    /// <param name="kept">Sets that must be there whatever fails.</param>
    private static async Task SweepAsync(
        Func<RepositoryFixture, Task> lay, Func<RepositoryFixture, TroubledStore, Task<IEnumerable<BackupException>>> run, params string[] kept)
    {
        var (calls, state) = (0, string.Empty);
        for (var fails = 0; fails <= calls; fails++)
        {
            await using var repository = await RepositoryFixture.OpenAsync();
            await lay(repository);
            // The first run is the undisturbed one, in which calls are counted.
            var failing = fails;
            var (made, failed) = (0, string.Empty);
            var store = new TroubledStore(repository.Store, "local");
            store.Before = (step, key, _) =>
            {
                // Giving up a writer is no call of a store.
                if (step != "dispose" && Interlocked.Increment(ref made) == failing)
                {
                    failed = $"{step} {key}";
                    throw new StorageException($"can't {failed} in store local");
                }

                return Task.CompletedTask;
            };

            var isSuccess = await IsSuccessAsync(() => run(repository, store));
            var undisturbed = fails == 0;
            Assert.True(undisturbed ? isSuccess : failed.Length > 0, $"call {fails} was not made");
            calls = undisturbed ? made : calls;
            var sets = (await repository.Store.CatalogueAsync()).Sets;
            Assert.All(sets, s => Assert.True(s.IsComplete, $"{s.Id} is half there after: {failed}"));
            Assert.Superset(kept.ToHashSet(), sets.Select(static s => s.Id).ToHashSet());

            await repository.NextRunAsync();
            store.Before = static (_, _, _) => Task.CompletedTask;
            Assert.True(await IsSuccessAsync(() => run(repository, store)), $"the run after the one that failed at {failed} failed too");
            Assert.All((await repository.Store.CatalogueAsync()).Sets, static s => Assert.True(s.IsComplete));
            var end = Describe(repository);
            state = undisturbed ? end : state;
            Assert.True(state == end, $"after {failed} and another run:\n{end}\nis not\n{state}");
        }

        Assert.True(calls > 0, "nothing was failed");
        Report($"fault sweep: {TestContext.Current.TestMethod?.MethodName} to a directory: failed {calls} of {calls} storage calls, each once");
    }

    // As the sweep of the integration tests does; test.sh shows it.
    private static void Report(string line)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(line);
        if (Environment.GetEnvironmentVariable("SHBACKUP_TEST_REPORT") is { Length: > 0 } report)
        {
            File.AppendAllLines(report, [line]);
        }
    }

    private static async Task<bool> IsSuccessAsync(Func<Task<IEnumerable<BackupException>>> run)
    {
        try
        {
            return !(await run()).Any();
        }
        catch (BackupException)
        {
            return false;
        }
    }

    // How many sets a backup has made depends on what failed. Beside a manifest an intent means nothing.
    private static string Describe(RepositoryFixture repository) => string.Join('\n', repository.Files()
        .Where(f => !(f.EndsWith("/intent.json", StringComparison.Ordinal) && File.Exists(Path.Combine(repository.Folder, Path.GetDirectoryName(f)!, "manifest.json"))))
        .Select(static f => f.Replace("_120000_2/", "_120000/", StringComparison.Ordinal)).Distinct());
}
