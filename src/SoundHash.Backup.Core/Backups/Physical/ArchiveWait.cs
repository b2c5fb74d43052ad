using System.Globalization;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// Waits until all WAL that makes a base backup consistent is in the archive: without it the backup is worth nothing. Says every
/// few seconds what it waits for.
/// </summary>
/// <param name="archive">The archive, in every store.</param>
/// <param name="session">Asks what PostgreSQL's archiver does.</param>
/// <param name="timeout">The longest wait.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Hears what is missing.</param>
internal sealed class ArchiveWait(WalArchives archive, Session session, TimeSpan timeout, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    /// <summary>Refuses a server whose WAL nobody archives, before anything is copied; warns of an archiver that fails.</summary>
    /// <exception cref="BackupException">Archiving is off.</exception>
    public static async Task EnsureArchivingAsync(ClusterFacts facts, Session session, ILogger log, CancellationToken cancel)
    {
        if (!facts.Archives && await ServerWal.ReceiverAsync(session, cancel) is null)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"{session.Settings.Server} does not archive its WAL (archive_mode, archive_command), without which a physical backup can't be restored",
                await IsRestartPendingAsync(session, cancel)
                    ? "restart the server: archive_mode = on waits for it"
                    : "shbackup wal-archive generate-config prints what to set");
        }

        if (await FailureAsync(session, cancel) is { } failure)
        {
            log.Warning("PostgreSQL's archiver does not get on: {Failure:l}", failure);
        }
    }

    private static async Task<bool> IsRestartPendingAsync(Session session, CancellationToken cancel) => await session.TextAsync(
        "SELECT 'yes' FROM pg_settings WHERE name = 'archive_mode' AND setting = 'off' AND pending_restart", cancel) is not null;

    /// <summary>
    /// Sees to the history of the server's timeline before anything is copied. PostgreSQL does not hand it over where archiving
    /// was switched on after the timeline had begun: it is archived from pg_wal, where that is at hand.
    /// </summary>
    /// <param name="data">The server's data directory when it can be read here, or null.</param>
    /// <param name="seal">How to compress and encrypt.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">Waiting for it would be in vain.</exception>
    public async Task EnsureHistoryAsync(DataDirectory? data, Seal seal, CancellationToken cancel)
    {
        var timeline = await session.TextAsync("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)", cancel);
        var name = WalFileName.Parse($"{timeline}.history");
        var number = name.TimelineNumber;
        if (number <= 1 || await archive.ContainsAsync(name, cancel))
        {
            return;
        }

        if (data is not null)
        {
            var (added, isThere) = await new WalHistories(archive, seal).EnsureAsync(data, number, cancel);
            foreach (var history in added)
            {
                log.Information("archived {History:l} from {Folder:l}", history.Name, data.WalFolder);
            }

            if (isThere)
            {
                return;
            }
        }

        // A receiver brings it by itself. One that is ready to be archived may have been archived since we looked.
        if (await ServerWal.ReceiverAsync(session, cancel) is null && await IsReadyAsync(name, cancel) == false && !await archive.ContainsAsync(name, cancel))
        {
            throw NoHistory(name);
        }
    }

    /// <summary>Returns when everything is there, and is the server's own.</summary>
    /// <param name="facts">The backup.</param>
    /// <param name="hash">SHA-256 of a file that the server has itself, or null.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It is not, in time.</exception>
    public async Task RunAsync(PhysicalFacts facts, Func<WalFileName, CancellationToken, Task<string?>> hash, CancellationToken cancel)
    {
        var started = time.GetTimestamp();
        var reported = started;
        var pause = ShortestPause;
        foreach (var name in facts.NeededWal)
        {
            while (!await archive.ConfirmAsync(name, cancel))
            {
                if (time.GetElapsedTime(started) >= timeout)
                {
                    throw await TimedOutAsync(name, cancel);
                }

                if (time.GetElapsedTime(reported) >= ReportInterval)
                {
                    reported = time.GetTimestamp();
                    log.Information(
                        "waiting for WAL file {Name:l} to be archived in store {Store:l}; {State:l}",
                        name.Name,
                        archive.StoreNames,
                        await StateAsync(session, cancel));
                }

                await Task.Delay(pause, time, cancel);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }

            await EnsureOwnAsync(name, hash, cancel);
        }
    }

    /// <summary>Stores of WAL that lack some of what a backup needs, though enough others have it.</summary>
    public async Task<IReadOnlyDictionary<string, WalFileName>> LackingAsync(PhysicalFacts facts, CancellationToken cancel)
    {
        var lacking = new Dictionary<string, WalFileName>();
        foreach (var name in facts.NeededWal)
        {
            var with = await archive.WithAsync(name, cancel);
            foreach (var store in archive.All.Select(static a => a.StoreName).Where(s => !with.Contains(s)))
            {
                lacking.TryAdd(store, name);
            }
        }

        return lacking;
    }

    /// <summary>Locks what a set needs in every store that has a copy of it and locks its tier; else it would be a set that can't be restored.</summary>
    /// <param name="facts">The set's facts.</param>
    /// <param name="keeping">How the set is kept.</param>
    /// <param name="stores">The stores that have a whole copy.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>What went wrong, by the store's name.</returns>
    public async Task<IReadOnlyDictionary<string, BackupException>> LockAsync(
        PhysicalFacts facts, SetKeeping keeping, IReadOnlyCollection<string> stores, CancellationToken cancel)
    {
        var problems = new Dictionary<string, BackupException>();
        foreach (var one in archive.All.Where(a => stores.Contains(a.StoreName)))
        {
            try
            {
                await WalLock.RunAsync(one, facts.NeededWal, keeping, cancel);
            }
            catch (BackupException e)
            {
                problems[one.StoreName] = e;
            }
        }

        return problems;
    }

    // Another life of the cluster (a copy that was promoted, a server that was taken back to an earlier state) gives its segments
    // the same names. A file that is recycled while it is read is gone when it is looked at again.
    private async Task EnsureOwnAsync(WalFileName name, Func<WalFileName, CancellationToken, Task<string?>> hash, CancellationToken cancel)
    {
        var archived = (await archive.SumOfAsync(name, cancel))?.Sha256;
        var own = archived;
        for (var look = 0; look < 2; look++)
        {
            own = await hash(name, cancel);
            if (own is null || own == archived)
            {
                return;
            }
        }

        throw new BackupException(
            ErrorKind.Verification,
            $"WAL file {name} in store {archive.StoreNames} is not that of {session.Settings.Server} (SHA-256 {archived}, the server's own is {own}), "
            + "so that the backup could not be restored and is not kept",
            "another life of this cluster has archived to the same place: a copy that was promoted, or this server before it was taken back "
            + "to an earlier state. Give this server its own BACKUP_CLUSTER");
    }

    /// <summary>What PostgreSQL's archiver is at, in words.</summary>
    public static async Task<string> StateAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            "SELECT last_archived_wal, to_char(last_archived_time, 'HH24:MI:SS') FROM pg_stat_archiver",
            static r => r.IsDBNull(0) ? "nothing was archived yet" : $"last archived: {r.GetString(0)} at {(r.IsDBNull(1) ? "?" : r.GetString(1))}Z",
            cancel);
        var failure = await FailureAsync(session, cancel);
        return string.Join("; ", new[] { await ReadyAsync(session, cancel), rows[0], failure }.OfType<string>());
    }

    private async Task<BackupException> TimedOutAsync(WalFileName missing, CancellationToken cancel)
    {
        if (missing.Kind == WalFileKind.TimelineHistory)
        {
            return NoHistory(missing);
        }

        var state = await StateAsync(session, cancel);
        return new BackupException(
            ErrorKind.ChildFailed,
            string.Create(
                CultureInfo.InvariantCulture,
                $"WAL file {missing} was not archived in store {archive.StoreNames} within {timeout.TotalSeconds:0} s, so that the backup is not kept ({state})"),
            "see the server's log for what archive_command says; it must archive to BACKUP_WAL_DIR and BACKUP_CLUSTER as they are set here"
            + " (shbackup wal-archive generate-config); a busy archive may need a longer --archive-timeout");
    }

    private BackupException NoHistory(WalFileName name) => new(
        ErrorKind.Verification,
        $"{name} is not in the WAL archive of {archive.SystemIdentifier} in store {archive.StoreNames}, and PostgreSQL does not hand it over:"
        + " archiving was switched on after that timeline had begun; a backup can't be recovered without it",
        $"on the server's machine, in the data directory, as the user that PostgreSQL runs as: shbackup wal-archive push pg_wal/{name} --env-file FILE");

    // Null where the role may not look.
    private async Task<bool?> IsReadyAsync(WalFileName name, CancellationToken cancel)
    {
        try
        {
            return await session.TextAsync(
                $"SELECT 1::text FROM pg_ls_archive_statusdir() WHERE name = {SqlText.Literal($"{name}.ready")}", cancel) is not null;
        }
        catch (BackupException) when (!cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    private static async Task<string?> FailureAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            """
            SELECT last_failed_wal, to_char(last_failed_time, 'YYYY-MM-DD HH24:MI:SS'), failed_count FROM pg_stat_archiver
            WHERE last_failed_time > coalesce(last_archived_time, '-infinity')
            """,
            static r => string.Create(
                CultureInfo.InvariantCulture,
                $"it last failed with {r.GetString(0)} at {r.GetString(1)}Z ({r.GetInt64(2)} failures in all; the server's log says why)"),
            cancel);
        return rows.Count > 0 ? rows[0] : null;
    }

    // Null where the role may not look.
    private static async Task<string?> ReadyAsync(Session session, CancellationToken cancel)
    {
        try
        {
            var count = await session.TextAsync(
                "SELECT count(*)::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'", cancel);
            return $"{count} WAL files wait for PostgreSQL's archiver";
        }
        catch (BackupException) when (!cancel.IsCancellationRequested)
        {
            return null;
        }
    }
}
