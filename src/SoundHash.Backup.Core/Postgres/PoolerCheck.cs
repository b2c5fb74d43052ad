using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// Refuses to work through a pooler that gives each transaction another server session: pg_dump's settings, locks and
/// snapshot would be scattered over several.
/// </summary>
public static class PoolerCheck
{
    private const string BackendPid = "SELECT pg_backend_pid()";

    /// <summary>Throws when the session goes through such a pooler.</summary>
    /// <exception cref="BackupException">It does.</exception>
    public static async Task EnsureDirectAsync(Session session, CancellationToken cancel)
    {
        var first = await session.TextAsync(BackendPid, cancel);
        if (first == session.AnnouncedProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture))
        {
            return;
        }

        // There is a pooler. Its mode shows when a second session wants a server session while the first is idle:
        // pooling by transaction hands over the first one's, pooling by session never does.
        for (var round = 0; round < 3; round++)
        {
            await using var other = await Session.OpenAsync(session.Settings, cancel);
            await other.ExecuteAsync("BEGIN", cancel);
            var theirs = await other.TextAsync(BackendPid, cancel);
            var ours = await session.TextAsync(BackendPid, cancel);
            if (theirs == first || ours != first)
            {
                throw new BackupException(
                    ErrorKind.Configuration,
                    $"{session.Settings.Server} is a pooler that hands each transaction to another server session (pool_mode=transaction)",
                    "point DATABASE_HOST and DATABASE_PORT at the PostgreSQL server itself");
            }
        }
    }
}
