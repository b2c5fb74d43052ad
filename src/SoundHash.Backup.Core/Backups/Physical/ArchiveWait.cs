using System.Globalization;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// Waits until all WAL that makes a base backup consistent is in the archive: without it the backup is worth nothing. Says every
/// few seconds what it waits for.
/// </summary>
/// <param name="archive">The archive.</param>
/// <param name="session">Asks what PostgreSQL's archiver does.</param>
/// <param name="timeout">The longest wait.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Hears what is missing.</param>
internal sealed class ArchiveWait(WalArchive archive, Session session, TimeSpan timeout, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    /// <summary>Refuses a server whose WAL nobody archives, before anything is copied; warns of an archiver that fails.</summary>
    /// <exception cref="BackupException">Archiving is off.</exception>
    public static async Task EnsureArchivingAsync(ClusterFacts facts, Session session, ILogger log, CancellationToken cancel)
    {
        if (!facts.Archives && await ReceiverAsync(session, cancel) is null)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"{session.Settings.Server} does not archive its WAL (archive_mode, archive_command), without which a physical backup can't be restored",
                "shbackup wal-archive generate-config prints what to set");
        }

        if (await FailureAsync(session, cancel) is { } failure)
        {
            log.Warning("PostgreSQL's archiver does not get on: {Failure:l}", failure);
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
        foreach (var name in Needed(facts))
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
                        archive.StoreName,
                        await StateAsync(session, cancel));
                }

                await Task.Delay(pause, time, cancel);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }

            await EnsureOwnAsync(name, hash, cancel);
        }
    }

    // Another life of the cluster (a copy that was promoted, a server that was taken back to an earlier state) gives its segments
    // the same names. A file that is recycled while it is read is gone when it is looked at again.
    private async Task EnsureOwnAsync(WalFileName name, Func<WalFileName, CancellationToken, Task<string?>> hash, CancellationToken cancel)
    {
        var archived = await archive.SumOfAsync(name, cancel);
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
            $"WAL file {name} in store {archive.StoreName} is not that of {session.Settings.Server} (SHA-256 {archived}, the server's own is {own}), "
            + "so that the backup could not be restored and is not kept",
            "another life of this cluster has archived to the same place: a copy that was promoted, or this server before it was taken back "
            + "to an earlier state. Give this server its own BACKUP_CLUSTER");
    }

    /// <summary>The WAL files that a backup needs, the oldest first.</summary>
    public static IEnumerable<WalFileName> Needed(PhysicalFacts facts)
    {
        if (facts.Timeline > 1)
        {
            yield return WalFileName.Parse(TimelineHistory.NameOf(facts.Timeline));
        }

        for (var segment = facts.FirstSegment; segment.Number <= facts.LastSegment.Number; segment = segment.Next)
        {
            yield return WalFileName.Parse(segment.Name);
        }
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
        var state = await StateAsync(session, cancel);
        return new BackupException(
            ErrorKind.ChildFailed,
            string.Create(
                CultureInfo.InvariantCulture,
                $"WAL file {missing} was not archived in store {archive.StoreName} within {timeout.TotalSeconds:0} s, so that the backup is not kept ({state})"),
            "see the server's log for what archive_command says; it must archive to BACKUP_WAL_DIR and BACKUP_CLUSTER as they are set here"
            + " (shbackup wal-archive generate-config); a busy archive may need a longer --archive-timeout");
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

    // pg_receivewal, by its own name or by one of ours.
    private static Task<string?> ReceiverAsync(Session session, CancellationToken cancel) => session.TextAsync(
        """
        SELECT r.application_name::text FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
        WHERE r.application_name ~* 'receivewal|shbackup' OR s.slot_name ~* 'receivewal|shbackup' LIMIT 1
        """,
        cancel);
}
