using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// A server in backup mode, by one session from pg_backup_start to pg_backup_stop. When the session ends before that, so does
/// the mode: whoever is killed leaves nothing behind on the server.
/// </summary>
internal sealed class BackupMode
{
    // Renamed in 15 (src/backend/access/transam/xlogfuncs.c).
    private const int NewNames = 15;
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(10);

    private readonly Session _session;

    private BackupMode(Session session, Lsn start)
    {
        _session = session;
        Start = start;
    }

    /// <summary>The redo position of the backup's checkpoint: pages changed after it are mended by replay.</summary>
    public Lsn Start { get; }

    /// <summary>Begins, with a checkpoint at once.</summary>
    public static async Task<BackupMode> StartAsync(Session session, string label, ILogger log, CancellationToken cancel)
    {
        log.Information("starting the backup with a checkpoint");
        var function = session.ServerMajor >= NewNames ? "pg_backup_start($1, true)" : "pg_start_backup($1, true, false)";
        return new BackupMode(session, Lsn.Parse(await session.TextAsync($"SELECT {function}::text", cancel, label)));
    }

    /// <summary>Asks the session every few seconds whether it still lives, until cancelled; backup mode would be gone with it.</summary>
    public async Task WatchAsync(TimeProvider time, CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(WatchInterval, time);
        while (await timer.WaitForNextTickAsync(cancel))
        {
            try
            {
                _ = await _session.TextAsync("SELECT 1", CancellationToken.None);
            }
            catch (Exception e) when (e is BackupException or InvalidOperationException)
            {
                throw Lost(e);
            }
        }
    }

    /// <summary>Ends backup mode and the segment that is being written, so that it is archived; does not wait for that.</summary>
    public async Task<BackupEnd> StopAsync(CancellationToken cancel)
    {
        var function = _session.ServerMajor >= NewNames ? "pg_backup_stop(false)" : "pg_stop_backup(false, false)";
        var (lsn, label) = await StopAsync(function, cancel);
        var end = BackupEnd.Of(label, Lsn.Parse(lsn));
        return end.Start == Start ? end : throw new BackupException(
            ErrorKind.ChildFailed, $"the backup began at {Start}, and its backup_label says {end.Start}", "run the backup again");
    }

    private async Task<(string Lsn, string Label)> StopAsync(string function, CancellationToken cancel)
    {
        try
        {
            var rows = await _session.QueryAsync(
                $"SELECT lsn::text, labelfile FROM {function}", static r => (r.GetString(0), r.GetString(1)), cancel);
            return rows[0];
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            throw Lost(e);
        }
    }

    private BackupException Lost(Exception e) => new(
        ErrorKind.ChildFailed,
        $"the session that held {_session.Settings.Server} in backup mode was lost: {e.Message}",
        "see the server's log for why it ended the session, then run the backup again",
        e);
}

/// <summary>What a base backup ended with.</summary>
/// <param name="Label">backup_label, which recovery begins with.</param>
/// <param name="Timeline">The timeline that it was made on.</param>
/// <param name="Start">Where replay begins.</param>
/// <param name="Stop">Where it is consistent.</param>
internal sealed record BackupEnd(string Label, uint Timeline, Lsn Start, Lsn Stop)
{
    /// <summary>Reads a backup_label (build_backup_content of src/backend/access/transam/xlogbackup.c).</summary>
    /// <exception cref="BackupException">It is none.</exception>
    public static BackupEnd Of(string label, Lsn stop)
    {
        var fields = label.Split('\n').Select(static l => l.Split(": ", 2)).Where(static p => p.Length == 2)
            .ToDictionary(static p => p[0], static p => p[1]);
        return Lsn.TryParse(fields.GetValueOrDefault("START WAL LOCATION", string.Empty).Split(' ')[0], out var start)
            && uint.TryParse(fields.GetValueOrDefault("START TIMELINE"), out var timeline)
            ? new BackupEnd(label, timeline, start, stop)
            : throw new BackupException(ErrorKind.ChildFailed, $"the server made a backup_label that makes no sense: {label.ReplaceLineEndings(" ")}");
    }
}
