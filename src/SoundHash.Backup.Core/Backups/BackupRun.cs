using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.FanOut;

namespace SoundHash.Backup.Backups;

/// <summary>What became of one database of a run: a set, or an error, or a set that is not all it should be and an error.</summary>
/// <param name="Database">The database.</param>
/// <param name="Written">The new set with its copies, or null.</param>
/// <param name="Error">What went wrong, or null.</param>
public sealed record BackupOutcome(string Database, WrittenSet? Written, BackupException? Error)
{
    /// <summary>The manifest of the new set, or null.</summary>
    public Manifest? Set => Written?.Manifest;
}

/// <summary>Where and how a run works.</summary>
/// <param name="Server">The server; its database is the first to connect to.</param>
/// <param name="StateDirectory">For locks.</param>
/// <param name="LockWait">How long to wait for another run of the same database.</param>
/// <param name="AllowNewSystem">Admits a cluster that the repository does not know.</param>
/// <param name="RequiredCopies">How many stores must have a set for it to count as done; at least 1.</param>
public sealed record BackupScope(ConnectionSettings Server, string StateDirectory, TimeSpan LockWait, bool AllowNewSystem, int RequiredCopies);

/// <summary>Backs up databases of one server, each into a set of its own; one failure does not stop the rest.</summary>
/// <param name="open">Opens the stores, which makes their roots.</param>
/// <param name="launcher">Starts programs.</param>
/// <param name="tools">Finds PostgreSQL's.</param>
/// <param name="time">The clock.</param>
/// <param name="meter">Counts.</param>
/// <param name="log">For people.</param>
public sealed class BackupRun(
    Func<IReadOnlyList<IObjectStore>> open, ProcessLauncher launcher, PgToolFinder tools, TimeProvider time, TransferMeter meter, ILogger log)
{
    private const string Template1 = "template1";

    private long _expected;

    /// <summary>Bytes that the run will read, as far as known: the sizes on disk of the databases begun so far.</summary>
    public long ExpectedBytes => Interlocked.Read(ref _expected);

    /// <summary>The databases of a server that a run over all of them takes, as pg_dumpall does; others are warned of.</summary>
    public static async Task<IReadOnlyList<string>> ListDatabasesAsync(
        ConnectionSettings server, IReadOnlyList<string> excluded, ILogger log, CancellationToken cancel)
    {
        await using var session = await Session.OpenAnyAsync(server, cancel);
        var databases = await ServerFacts.DatabasesAsync(session, cancel);
        var all = databases.Select(static d => d.Name).ToList();
        if (excluded.Except(all).ToList() is { Count: > 0 } unknown)
        {
            throw new BackupException(
                ErrorKind.Usage,
                $"--exclude-database names no database of {server.Server}: {string.Join(", ", unknown)}",
                $"there are: {string.Join(", ", all)}");
        }

        var chosen = new List<string>();
        // A database that a restore is filling is none yet.
        foreach (var database in databases.Where(d => !excluded.Contains(d.Name) && !WorkingName.IsOne(d.Name)))
        {
            if (database.IsInvalid || !database.AllowsConnections)
            {
                log.Warning(
                    "database \"{Database}\" is left out: {Why}; --exclude-database leaves it out without a warning",
                    database.Name,
                    database.IsInvalid ? "it is what an interrupted DROP DATABASE left, and can only be dropped" : "it allows no connections");
            }
            else if (database.Name != Template1 || await IsOwnAsync(server with { Database = Template1 }, log, cancel))
            {
                chosen.Add(database.Name);
            }
        }

        return chosen.Count > 0
            ? chosen
            : throw new BackupException(ErrorKind.Usage, $"every database of {server.Server} is excluded: nothing would be backed up");
    }

    /// <summary>
    /// Looks whether each database could be backed up: that it is there, its server's programs, and whose the repository is. Changes
    /// nothing, so that whether the repository can be written is not known.
    /// </summary>
    /// <returns>The databases' size on disk, in bytes.</returns>
    /// <exception cref="BackupException">One can't be.</exception>
    public async Task<long> ProbeAsync(IReadOnlyList<IObjectStore> stores, IReadOnlyList<string> databases, BackupScope scope, CancellationToken cancel)
    {
        var bytes = 0L;
        foreach (var database in databases)
        {
            await using var session = await Session.OpenAsync(scope.Server with { Database = database }, cancel);
            _ = await ToolsAsync(session, cancel);
            var system = await ServerFacts.SystemIdentifierAsync(session, log, cancel);
            foreach (var store in stores)
            {
                await new RepositoryGuard(store, time, log).EnsureAdmitsAsync(system, scope.AllowNewSystem, cancel);
            }

            bytes += await DatabaseInspector.ReadSizeAsync(session, cancel);
        }

        return bytes;
    }

    /// <summary>
    /// Backs up the databases one after the other. When it is cancelled after others were done, the outcomes so far are
    /// returned, the cancelled one last: what was made stays, and must be told of.
    /// </summary>
    /// <exception cref="OperationCanceledException">It was cancelled at its first database.</exception>
    public async Task<IReadOnlyList<BackupOutcome>> RunAsync(
        IReadOnlyList<string> databases, BackupScope scope, BackupOptions options, CancellationToken cancel)
    {
        var outcomes = new List<BackupOutcome>();
        var stores = open();
        var globals = new RunGlobals(launcher, log);
        foreach (var database in databases)
        {
            try
            {
                using var held = await RunLock.TakeAsync(scope.StateDirectory, "backup", database, scope.LockWait, time, cancel);
                var session = await Session.OpenAsync(scope.Server with { Database = database }, cancel);
                await using (session)
                {
                    // Anew for each: one that failed may have come back.
                    var group = new StoreGroup(stores, time, log);
                    var chosen = await PrepareAsync(group, session, database, scope, held, cancel);
                    var backup = new LogicalBackup(group, launcher, options, time, meter, log);
                    var written = await backup.RunAsync(session, chosen.Tools, globals, chosen.System, held, cancel);
                    outcomes.Add(new BackupOutcome(database, written, written.Lack(scope.RequiredCopies)));
                }
            }
            catch (BackupException e) when (!cancel.IsCancellationRequested)
            {
                log.Debug(e, "backup of {Database} failed", database);
                outcomes.Add(new BackupOutcome(database, null, e));
            }
            catch (Exception e) when (
                outcomes.Count > 0 && cancel.IsCancellationRequested && e is BackupException or OperationCanceledException)
            {
                log.Debug(e, "backup of {Database} was cancelled", database);
                outcomes.Add(new BackupOutcome(database, null, Cancelled(database, e)));
                break;
            }
        }

        return outcomes;
    }

    // Every server has it, and mostly as it was made: such a one needs no set, and while it is dumped no database can be made.
    private static async Task<bool> IsOwnAsync(ConnectionSettings template, ILogger log, CancellationToken cancel)
    {
        try
        {
            await using var session = await Session.OpenAsync(template, cancel);
            return await UserObjects.ExistAsync(session, cancel);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Warning("database \"{Database}\" is left out, since whether it has objects can't be seen: {Message}", template.Database, e.Message);
            return false;
        }
    }

    private static BackupException Cancelled(string database, Exception e)
    {
        var why = e is BackupException { Kind: not ErrorKind.Cancelled } known ? $" ({known.Message})" : string.Empty;
        return new BackupException(
            ErrorKind.Cancelled,
            $"database \"{database}\": cancelled{why}; neither it nor one after it has a set of this run; what was done before stays, and is listed",
            inner: e);
    }

    private async Task<PgTools> ToolsAsync(Session session, CancellationToken cancel)
    {
        await PoolerCheck.EnsureDirectAsync(session, cancel);
        var chosen = await tools.ForServerAsync(session.ServerMajor, cancel);
        if (PgTools.IsTooNewToLoad(chosen.Major, session.ServerMajor))
        {
            log.Warning(
                "the server has version {Server}, and pg_dump {Dump}: the set can be restored into servers from version {First} on only;"
                + " install postgresql-client-{Client} to make sets for this one",
                session.ServerMajor,
                chosen.Version,
                PgTools.FirstWithTransactionTimeout,
                session.ServerMajor);
        }

        return chosen;
    }

    private async Task<(PgTools Tools, string? System)> PrepareAsync(
        StoreGroup stores, Session session, string database, BackupScope scope, RunLock held, CancellationToken cancel)
    {
        var chosen = await ToolsAsync(session, cancel);
        var system = await ServerFacts.SystemIdentifierAsync(session, log, cancel);
        var clock = await ServerFacts.ClockAsync(session, cancel);
        var subject = new SetSubject(system, SetKind.Logical, database);
        await stores.EachAsync(
            (destination, token) => new RepositoryGuard(destination.Store, time, log).PrepareAsync(subject, scope.AllowNewSystem, held, clock, token),
            cancel);
        Interlocked.Add(ref _expected, await DatabaseInspector.ReadSizeAsync(session, cancel));
        return (chosen, system);
    }
}
