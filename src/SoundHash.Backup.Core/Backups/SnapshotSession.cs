using System.Globalization;
using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>
/// The session that makes all streams of a backup see one moment. It locks every table before its first query and
/// exports its snapshot after that, so that no TRUNCATE, ALTER or DROP comes between the snapshot and pg_dump: without
/// the locks, a table truncated in between is dumped empty and counted as 0, with exit code 0.
/// </summary>
public sealed class SnapshotSession : IAsyncDisposable
{
    /// <summary>
    /// How long pg_dump waits for a table that this session holds already, in milliseconds. It only has to wait behind
    /// somebody who himself waits for us, with everybody else behind him: longer waiting ends nothing but his patience.
    /// </summary>
    public const int DumpLockTimeoutMilliseconds = 10_000;

    private const int Attempts = 5;
    private const int TablesPerLock = 500;
    private static readonly TimeSpan LockTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(10);

    private readonly Session _session;
    private Task _counting = Task.CompletedTask;

    private SnapshotSession(
        Session session, string snapshot, DateTimeOffset started, IReadOnlyList<Relation> relations, IReadOnlyDictionary<long, long> sizes)
    {
        _session = session;
        Snapshot = snapshot;
        Started = started;
        Relations = relations;
        Sizes = sizes;
    }

    /// <summary>The exported snapshot's name, for pg_dump --snapshot.</summary>
    public string Snapshot { get; }

    /// <summary>When the snapshot was taken, by the database's clock.</summary>
    public DateTimeOffset Started { get; }

    /// <summary>Everything in the snapshot that has rows or partitions.</summary>
    public IReadOnlyList<Relation> Relations { get; }

    /// <summary>Bytes of each locked table, by oid.</summary>
    public IReadOnlyDictionary<long, long> Sizes { get; }

    /// <summary>Locks, exports and lists; starts over when the tables changed in between.</summary>
    /// <param name="session">The session that is to hold the locks; owned by the result.</param>
    /// <param name="log">For what happens in between.</param>
    /// <param name="cancel">Cancels.</param>
    /// <param name="lockTimeout">How long to wait for a table's lock; a minute unless told.</param>
    /// <exception cref="BackupException">A lock is refused or not to be had in time, or the schema never rests.</exception>
    public static async Task<SnapshotSession> OpenAsync(
        Session session, ILogger log, CancellationToken cancel, TimeSpan? lockTimeout = null)
    {
        await session.ExecuteAsync("SET row_security = off", cancel);
        for (var attempt = 1; attempt <= Attempts; attempt++)
        {
            var before = await RelationList.ReadAsync(session, cancel);
            await session.ExecuteAsync("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", cancel);
            if (await TryLockAsync(session, before, lockTimeout ?? LockTimeout, cancel))
            {
                var (snapshot, started) = await ExportAsync(session, cancel);
                var after = await RelationList.ReadAsync(session, cancel);
                if (after.SequenceEqual(before))
                {
                    var sizes = await RelationList.ReadSizesAsync(session, after.Where(static r => r.NeedsLock), cancel);
                    return new SnapshotSession(session, snapshot, started, after, sizes);
                }
            }

            log.Information("tables of \"{Database}\" changed while they were locked; starting over", session.Settings.Database);
            await session.ExecuteAsync("ROLLBACK", cancel);
        }

        throw new BackupException(
            ErrorKind.ChildFailed,
            $"tables of \"{session.Settings.Database}\" were created or dropped during each of {Attempts} attempts to take a snapshot",
            "run the backup when the schema rests");
    }

    /// <summary>Counts the rows of every table in the snapshot; until it has ended, it alone uses the session.</summary>
    /// <param name="fingerprint">True hashes them too.</param>
    /// <param name="log">Told of what could not be counted.</param>
    /// <param name="cancel">Cancels, and ends the transaction with it.</param>
    /// <exception cref="BackupException">A table can't be read, or the session was lost: the backup must not be trusted.</exception>
    public Task<IReadOnlyList<TableRecord>> CountAsync(bool fingerprint, ILogger log, CancellationToken cancel)
    {
        var counting = CountOrLoseAsync(new RowCounter(_session, fingerprint, log), cancel);
        _counting = counting;
        return counting;
    }

    /// <summary>
    /// Asks the session every few seconds whether it still lives, from the end of the count until cancelled. Fails as soon
    /// as it does not, since the locks are gone with it.
    /// </summary>
    public async Task WatchAsync(TimeProvider time, CancellationToken cancel)
    {
        await _counting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using var timer = new PeriodicTimer(WatchInterval, time);
        while (await timer.WaitForNextTickAsync(cancel))
        {
            // Never cancelled on its way: that would abort the transaction that it is to guard.
            await EnsureHeldAsync(CancellationToken.None);
        }
    }

    /// <summary>Ends the transaction; proves that locks and snapshot were held to the end.</summary>
    /// <returns>The database's clock.</returns>
    /// <exception cref="BackupException">The session was lost: the backup must not be trusted.</exception>
    public async Task<DateTimeOffset> FinishAsync(CancellationToken cancel)
    {
        await EnsureHeldAsync(cancel);
        var now = await ServerFacts.ClockAsync(_session, cancel);
        await _session.ExecuteAsync("COMMIT", cancel);
        return now;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _session.DisposeAsync();

    private async Task<IReadOnlyList<TableRecord>> CountOrLoseAsync(RowCounter counter, CancellationToken cancel)
    {
        try
        {
            return await counter.CountAsync(Relations, cancel);
        }
        catch (BackupException e) when (ServerErrors.IsLoss(e) && !cancel.IsCancellationRequested)
        {
            throw Lost(e);
        }
    }

    private async Task EnsureHeldAsync(CancellationToken cancel)
    {
        try
        {
            _ = await _session.TextAsync("SELECT 1", cancel);
        }
        catch (Exception e) when (e is BackupException or InvalidOperationException)
        {
            throw Lost(e);
        }
    }

    private BackupException Lost(Exception e) => new(
        ErrorKind.ChildFailed,
        $"the session that held the snapshot of \"{_session.Settings.Database}\" was lost: {e.Message}",
        "see the server's log for why it ended the session, then run the backup again",
        e);

    private static async Task<bool> TryLockAsync(
        Session session, IReadOnlyList<Relation> relations, TimeSpan lockTimeout, CancellationToken cancel)
    {
        await session.ExecuteAsync(
            string.Create(CultureInfo.InvariantCulture, $"SET LOCAL lock_timeout = {(int)lockTimeout.TotalMilliseconds}"), cancel);
        try
        {
            // LOCK takes no snapshot (src/backend/tcop/pquery.c, PlannedStmtRequiresSnapshot): the first query after it does.
            foreach (var chunk in relations.Where(static r => r.NeedsLock).Chunk(TablesPerLock))
            {
                var tables = string.Join(", ", chunk.Select(static r => $"ONLY {r.Sql}"));
                await session.ExecuteAsync($"LOCK TABLE {tables} IN ACCESS SHARE MODE", cancel);
            }

            return true;
        }
        catch (BackupException e) when (e.InnerException is PostgresException
        {
            SqlState: PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName,
        })
        {
            return false;
        }
    }

    private static async Task<(string Snapshot, DateTimeOffset Started)> ExportAsync(Session session, CancellationToken cancel)
    {
        var snapshot = await session.TextAsync("SELECT pg_export_snapshot()", cancel);
        await session.ExecuteAsync("SET LOCAL lock_timeout = 0", cancel);
        return (snapshot!, await ServerFacts.ClockAsync(session, cancel));
    }
}
