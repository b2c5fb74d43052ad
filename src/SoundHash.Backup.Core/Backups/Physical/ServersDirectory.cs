using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// Tells whether a data directory of this machine is the one that the server writes. A standby's, or a copy's, may have the same
/// path and the same system identifier; its pages can be older than the place that replay begins at, and nothing would mend them.
/// </summary>
internal static class ServersDirectory
{
    private const int Tries = 20;
    private static readonly TimeSpan BeforeNextTry = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Compares the directory's pg_control with what the server reads of its own. After pg_backup_start, whose checkpoint every
    /// server writes into its own file, this is proof; before it, a copy of an idle server passes too.
    /// </summary>
    /// <param name="session">The server.</param>
    /// <param name="directory">The data directory.</param>
    /// <param name="start">What pg_backup_start said, or null before it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>What speaks against it, or null.</returns>
    /// <exception cref="BackupException">The server can't be asked, or the file can't be read.</exception>
    public static async Task<string?> DoubtAsync(Session session, string directory, Lsn? start, TimeProvider time, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            var local = ControlFile.Read(directory).Checkpoint;
            var servers = await AskAsync(session, cancel);
            if (local.State == ControlFile.InProduction && local with { State = servers.State } == servers)
            {
                return start is null || local.Redo.Value >= start.Value.Value
                    ? null
                    : $"its last checkpoint begins at {local.Redo}, before that of the backup at {start}";
            }

            // The server may have written it in between.
            if (attempt == Tries)
            {
                return local.State == ControlFile.InProduction
                    ? $"its last checkpoint is {local.Checkpoint} on timeline {local.Timeline}, and the server's is {servers.Checkpoint} on timeline {servers.Timeline}"
                    : "no server that takes writes runs on it";
            }

            await Task.Delay(BeforeNextTry, time, cancel);
        }
    }

    private static async Task<ControlCheckpoint> AskAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            """
            SELECT extract(epoch FROM s.pg_control_last_modified)::bigint, c.checkpoint_lsn::text, c.redo_lsn::text, c.timeline_id::bigint
            FROM pg_control_system() s, pg_control_checkpoint() c
            """,
            static r => new ControlCheckpoint(0, r.GetInt64(0), Lsn.Parse(r.GetString(1)), Lsn.Parse(r.GetString(2)), (uint)r.GetInt64(3)),
            cancel);
        return rows[0];
    }
}
