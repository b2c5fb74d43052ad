using System.Globalization;
using Serilog;
using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.FanOut;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>The WAL that a physical backup needs.</summary>
/// <param name="Stores">The archive's stores.</param>
/// <param name="RequiredCopies">How many of them must have it.</param>
/// <param name="Timeout">How long to wait for it after the files are copied.</param>
public sealed record WalScope(IReadOnlyList<IObjectStore> Stores, int RequiredCopies, TimeSpan Timeout);

/// <summary>Backs up a whole cluster into a set.</summary>
/// <param name="open">Opens the stores, which makes their roots: called when nothing speaks against it any more.</param>
/// <param name="launcher">Starts programs.</param>
/// <param name="tools">Finds PostgreSQL's.</param>
/// <param name="time">The clock.</param>
/// <param name="meter">Counts.</param>
/// <param name="log">For people.</param>
public sealed class PhysicalBackupRun(
    Func<IReadOnlyList<IObjectStore>> open, ProcessLauncher launcher, PgToolFinder tools, TimeProvider time, TransferMeter meter, ILogger log)
{
    // Of the lock: one that no database of that name minds.
    private const string Subject = "the whole cluster";
    private const int DamageLines = 20;

    private long _expected;

    /// <summary>Bytes that the run will read, or 0 while that is unknown.</summary>
    public long ExpectedBytes => Interlocked.Read(ref _expected);

    /// <summary>
    /// Looks whether the cluster could be backed up: its WAL, the way to its files, and whose the repository is. Changes nothing, so that
    /// whether the repository can be written is not known.
    /// </summary>
    /// <returns>The size of its databases on disk, in bytes.</returns>
    /// <exception cref="BackupException">It can't be.</exception>
    public async Task<long> ProbeAsync(
        IReadOnlyList<IObjectStore> stores, BackupScope scope, IReadOnlyList<(string Setting, string Directory)> places, CancellationToken cancel)
    {
        await EnsureApartAsync(scope.Server, places, cancel);
        await using var session = await Session.OpenAnyAsync(scope.Server, cancel);
        await PoolerCheck.EnsureDirectAsync(session, cancel);
        var facts = await ClusterFacts.ReadAsync(session, cancel);
        await ArchiveWait.EnsureArchivingAsync(facts, session, log, cancel);
        var system = await SystemAsync(session, cancel);
        foreach (var store in stores)
        {
            await new RepositoryGuard(store, time, log).EnsureAdmitsAsync(
                system.ToString(CultureInfo.InvariantCulture), scope.AllowNewSystem, cancel);
        }

        if (facts.DataDirectory is not { } path || await OpenIfOursAsync(session, path, system, log, cancel) is null)
        {
            await StreamedCopy.EnsurePossibleAsync(session, cancel);
            _ = await tools.ForServerAsync(session.ServerMajor, cancel);
        }

        return await DatabaseInspector.ReadSizeOfAllAsync(session, cancel);
    }

    /// <summary>Backs the cluster up. A set with damaged pages exists, and has an error beside it.</summary>
    /// <param name="scope">What to back up.</param>
    /// <param name="wal">Its WAL.</param>
    /// <param name="places">Directories that are written to, absolute, with the settings that name them.</param>
    /// <param name="options">What the person asked for.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<BackupOutcome> RunAsync(
        BackupScope scope, WalScope wal, IReadOnlyList<(string Setting, string Directory)> places, BackupOptions options, CancellationToken cancel)
    {
        try
        {
            await EnsureApartAsync(scope.Server, places, cancel);
            var stores = new StoreGroup(open(), time, log);
            using var held = await RunLock.TakeAsync(scope.StateDirectory, "backup", Subject, scope.LockWait, time, cancel);
            await using var session = await Session.OpenAnyAsync(scope.Server, cancel);
            var (facts, system) = await PrepareAsync(stores, session, scope, held, cancel);
            var wait = new ArchiveWait(new WalArchives(wal.Stores, system, wal.RequiredCopies, behind: null, log), session, wal.Timeout, time, log);
            var data = facts.DataDirectory is { } path ? await OpenIfOursAsync(session, path, system, log, cancel) : null;
            await wait.EnsureHistoryAsync(data, options.Seal, cancel);
            var copy = await ChooseAsync(session, facts, data, wal, options, cancel);
            var seal = ShareThreads(options.Seal, copy.Streams);
            var backup = new PhysicalBackup(stores, session, facts, copy, wait, options with { Seal = seal }, time, log);
            var written = await backup.RunAsync(system.ToString(CultureInfo.InvariantCulture), held, cancel);
            return new BackupOutcome(
                string.Empty, written, await DamageAsync(session, written.Manifest, cancel) ?? written.Lack(scope.RequiredCopies));
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Debug(e, "the physical backup failed");
            return new BackupOutcome(string.Empty, null, e);
        }
    }

    // Before the lock, which is written into one of them.
    private async Task EnsureApartAsync(ConnectionSettings server, IReadOnlyList<(string Setting, string Directory)> places, CancellationToken cancel)
    {
        OwnPlaces.EnsureOutside(places);
        await using var session = await Session.OpenAnyAsync(server, cancel);
        var facts = await ClusterFacts.ReadAsync(session, cancel);
        if (facts.DataDirectory is { } path && await OpenIfOursAsync(session, path, await SystemAsync(session, cancel), Logger.None, cancel) is { } data)
        {
            OwnPlaces.EnsureNotLinked(data, places);
        }
    }

    private static async Task<ulong> SystemAsync(Session session, CancellationToken cancel) => ulong.Parse(
        (await session.TextAsync("SELECT system_identifier::text FROM pg_control_system()", cancel))!, CultureInfo.InvariantCulture);

    // Streams that run at once share the compression threads that one alone would have.
    private static Seal ShareThreads(Seal seal, int streams) =>
        seal with { Compression = seal.Compression with { Workers = Math.Max(1, seal.Compression.Workers / streams) } };

    private async Task<(ClusterFacts Facts, ulong System)> PrepareAsync(
        StoreGroup stores, Session session, BackupScope scope, RunLock held, CancellationToken cancel)
    {
        await PoolerCheck.EnsureDirectAsync(session, cancel);
        var facts = await ClusterFacts.ReadAsync(session, cancel);
        await ArchiveWait.EnsureArchivingAsync(facts, session, log, cancel);
        var system = await SystemAsync(session, cancel);
        var clock = await ServerFacts.ClockAsync(session, cancel);
        var subject = new SetSubject(system.ToString(CultureInfo.InvariantCulture), SetKind.Physical, string.Empty);
        await stores.EachAsync(
            (destination, token) => new RepositoryGuard(destination.Store, time, log).PrepareAsync(subject, scope.AllowNewSystem, held, clock, token),
            cancel);
        return (facts, system);
    }

    // The files themselves where they are at hand, which is several times as fast; else PostgreSQL's own stream of them.
    private async Task<IClusterCopy> ChooseAsync(
        Session session, ClusterFacts facts, DataDirectory? data, WalScope wal, BackupOptions options, CancellationToken cancel)
    {
        if (data is not null)
        {
            return new LocalCopy(
                session, facts, data.Path, options.Jobs, time, meter, bytes => Interlocked.Exchange(ref _expected, bytes), log);
        }

        await StreamedCopy.EnsurePossibleAsync(session, cancel);
        var chosen = await tools.ForServerAsync(session.ServerMajor, cancel);
        return new StreamedCopy(session, facts, chosen, launcher, wal.Timeout, time, meter, log);
    }

    private async Task<DataDirectory?> OpenIfOursAsync(Session session, string path, ulong system, ILogger says, CancellationToken cancel)
    {
        if (!Directory.Exists(path))
        {
            says.Information("the data directory {Path} is not on this machine: its files come through pg_basebackup", path);
            return null;
        }

        DataDirectory data;
        try
        {
            data = DataDirectory.Open(path);
        }
        catch (BackupException e)
        {
            says.Warning("the data directory can't be read by this user ({Message:l}): its files come through pg_basebackup, more slowly", e.Message);
            return null;
        }

        var doubt = data.SystemIdentifier == system
            ? await ServersDirectory.DoubtAsync(session, data.Path, start: null, time, cancel)
            : "it is another cluster's";
        if (doubt is null)
        {
            return data;
        }

        says.Information("{Path} on this machine is not what the server writes ({Doubt:l}): the files come through pg_basebackup", path, doubt);
        return null;
    }

    private async Task<BackupException?> DamageAsync(Session session, Manifest set, CancellationToken cancel)
    {
        var pages = set.Physical!.DamagedPages;
        if (pages.Count == 0)
        {
            return null;
        }

        var names = await DamageNames.FindAsync(session, pages, cancel);
        foreach (var file in pages.GroupBy(static p => p.Path).Take(DamageLines))
        {
            log.Error(
                "damaged pages in {Relation:l} (file {Path:l}): blocks {Blocks:l}",
                names.GetValueOrDefault(file.Key, "a relation"),
                file.Key,
                DamageNames.Ranges(file.Select(static p => p.Block)));
        }

        return new BackupException(
            ErrorKind.Verification,
            $"{pages.Count} pages of the cluster have a wrong checksum, the first in {names.GetValueOrDefault(pages[0].Path, pages[0].Path)}"
            + $" (file {pages[0].Path}, block {pages[0].Block}); set {set.Id} is kept, and does not count as good",
            "find out what damaged them (disk, memory) before more is; restore the relations named above from an older set, and keep those sets"
            + ": shbackup backup keep ID");
    }
}
