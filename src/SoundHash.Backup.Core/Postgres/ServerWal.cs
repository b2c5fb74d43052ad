using System.Globalization;
using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>How PostgreSQL's archiver has fared (pg_stat_archiver).</summary>
/// <param name="LastArchived">What it archived last, or null.</param>
/// <param name="LastArchivedTime">When.</param>
/// <param name="LastFailed">What it failed to archive last, or null.</param>
/// <param name="LastFailedTime">When.</param>
public sealed record ArchiverStatistics(
    string? LastArchived, DateTimeOffset? LastArchivedTime, string? LastFailed, DateTimeOffset? LastFailedTime)
{
    /// <summary>Its last try failed.</summary>
    public bool IsFailing => LastFailedTime is { } failed && (LastArchivedTime is not { } archived || failed > archived);
}

/// <summary>What a server says of its log and its archiving. Null is what the role may not see.</summary>
/// <param name="SystemIdentifier">The cluster.</param>
/// <param name="Timeline">The timeline that it writes, or replays.</param>
/// <param name="Position">Where it is in the log.</param>
/// <param name="SegmentBytes">Its segment size.</param>
/// <param name="InRecovery">It is a standby, or recovers.</param>
/// <param name="ArchiveMode">archive_mode.</param>
/// <param name="ArchiveCommand">archive_command, or "archive_library = …" where that is used instead; empty for neither.</param>
/// <param name="DataDirectory">data_directory.</param>
/// <param name="Archiver">How the archiver has fared.</param>
/// <param name="WalFiles">Names in pg_wal.</param>
/// <param name="ReadyFiles">Names that wait to be archived.</param>
/// <param name="HasReceiver">pg_receivewal, ours or another, is connected.</param>
public sealed record ServerWal(
    ulong SystemIdentifier,
    uint Timeline,
    Lsn Position,
    int SegmentBytes,
    bool InRecovery,
    string ArchiveMode,
    string? ArchiveCommand,
    string? DataDirectory,
    ArchiverStatistics Archiver,
    IReadOnlySet<string>? WalFiles,
    IReadOnlySet<string>? ReadyFiles,
    bool HasReceiver = false)
{
    private const string ArchiveCommandSql =
        "SELECT coalesce('archive_library = ' || nullif(current_setting('archive_library', true), ''), current_setting('archive_command'))";

    /// <summary>The segment that it writes now.</summary>
    public WalSegment Current => WalSegment.Of(Timeline, Position, SegmentBytes);

    /// <summary>True when archive_command calls us.</summary>
    public bool ArchivesWithUs => ArchiveMode != "off" && WalCommandText.IsOurs(ArchiveCommand);

    /// <summary>True when nobody takes the log away from the server.</summary>
    public bool IsUnarchived => (ArchiveMode == "off" || ArchiveCommand?.Length == 0) && !HasReceiver && !InRecovery;

    /// <summary>Asks a server.</summary>
    /// <exception cref="BackupException">It can't be asked, or the role may not even know which cluster it is.</exception>
    public static async Task<ServerWal> ReadAsync(Session session, ILogger log, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            """
            SELECT (SELECT system_identifier::text FROM pg_control_system()),
                   (SELECT timeline_id FROM pg_control_checkpoint()),
                   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text,
                   CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END,
                   (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'),
                   current_setting('archive_mode')
            """,
            static r => Enumerable.Range(0, 6)
                .Select(i => r.IsDBNull(i) ? null : Convert.ToString(r.GetValue(i), CultureInfo.InvariantCulture)).ToList(),
            cancel);
        var row = rows[0];
        var timeline = row[3] is { } name ? Convert.ToUInt32(name[..8], 16) : uint.Parse(row[1]!, CultureInfo.InvariantCulture);
        return new ServerWal(
            ulong.Parse(row[0]!, CultureInfo.InvariantCulture),
            timeline,
            Lsn.TryParse(row[2], out var position) ? position : default,
            int.Parse(row[4]!, CultureInfo.InvariantCulture),
            row[3] is null,
            row[5]!,
            await TryTextAsync(session, ArchiveCommandSql, log, cancel),
            await TryTextAsync(session, "SELECT current_setting('data_directory')", log, cancel),
            await StatisticsAsync(session, cancel),
            await TryNamesAsync(session, "SELECT name FROM pg_ls_waldir()", string.Empty, log, cancel),
            await TryNamesAsync(session, "SELECT name FROM pg_ls_archive_statusdir()", ".ready", log, cancel),
            await ReceiverAsync(session, cancel) is not null);
    }

    /// <summary>The receiver that is connected, pg_receivewal by its own name or by one of ours; null for none.</summary>
    public static Task<string?> ReceiverAsync(Session session, CancellationToken cancel) => session.TextAsync(
        """
        SELECT coalesce(r.application_name::text, s.slot_name::text, '')
        FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
        WHERE r.application_name ~* 'receivewal|shbackup' OR s.slot_name ~* 'receivewal|shbackup' LIMIT 1
        """,
        cancel);

    private static async Task<ArchiverStatistics> StatisticsAsync(Session session, CancellationToken cancel)
    {
        static DateTimeOffset? Time(NpgsqlDataReader r, int i) => r.IsDBNull(i) ? null : r.GetFieldValue<DateTimeOffset>(i);
        static string? Text(NpgsqlDataReader r, int i) => r.IsDBNull(i) ? null : r.GetString(i);
        var rows = await session.QueryAsync(
            "SELECT last_archived_wal, last_archived_time, last_failed_wal, last_failed_time FROM pg_stat_archiver",
            static r => new ArchiverStatistics(Text(r, 0), Time(r, 1), Text(r, 2), Time(r, 3)),
            cancel);
        return rows[0];
    }

    private static async Task<string?> TryTextAsync(Session session, string sql, ILogger log, CancellationToken cancel)
    {
        try
        {
            return await session.TextAsync(sql, cancel);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Debug("{Message:l}", e.Message);
            return null;
        }
    }

    private static async Task<IReadOnlySet<string>?> TryNamesAsync(
        Session session, string sql, string suffix, ILogger log, CancellationToken cancel)
    {
        try
        {
            var names = await session.QueryAsync(sql, static r => r.GetString(0), cancel);
            return names.Where(n => n.EndsWith(suffix, StringComparison.Ordinal)).Select(n => n[..^suffix.Length]).ToHashSet();
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Warning("which segments wait to be archived can't be seen: {Message:l} (grant the role pg_monitor)", e.Message);
            return null;
        }
    }
}
