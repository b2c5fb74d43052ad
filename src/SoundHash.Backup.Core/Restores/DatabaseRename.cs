using System.Globalization;
using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Renames databases in one transaction. The first rename locks its database against new connections until the commit,
/// and meanwhile the sessions in all of them are ended; a kill at any moment leaves either all old names or all new ones.
/// </summary>
internal sealed class DatabaseRename(Session maintenance, ILogger log)
{
    private const int Attempts = 3;
    private static readonly TimeSpan TerminationInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>
    /// Renames, in order. Not cancelled once it has begun: whoever called must know afterwards which database has which name.
    /// </summary>
    /// <exception cref="BackupException">No name was changed.</exception>
    public async Task RunAsync(IReadOnlyList<(string From, string To)> renames, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var last = renames[^1];
        var oid = await maintenance.TextAsync("SELECT oid::text FROM pg_database WHERE datname = $1", cancel, last.From);
        var sql = $"BEGIN; SET LOCAL lock_timeout = '30s'; {string.Concat(renames.Select(Statement))}COMMIT";
        await using var other = await Session.OpenAsync(maintenance.Settings, cancel);
        for (var attempt = 1; ; attempt++)
        {
            var renaming = maintenance.ExecuteAsync(sql, CancellationToken.None);
            await TerminateUntilAsync(renaming, other, renames.Select(static r => r.From));
            try
            {
                await renaming;
                return;
            }
            catch (BackupException e)
            {
                // The commit may have happened though its answer was lost.
                if (await HasNameAsync(oid, last.To))
                {
                    return;
                }

                await TryRollbackAsync();
                var state = (e.InnerException as PostgresException)?.SqlState;
                var inUse = state is PostgresErrorCodes.ObjectInUse or PostgresErrorCodes.LockNotAvailable;
                if (!inUse || attempt == Attempts)
                {
                    throw inUse ? InUse(renames, e) : e;
                }

                log.Information("{Message}; trying again", e.Message);
            }
        }
    }

    private static string Statement((string From, string To) rename) =>
        $"ALTER DATABASE {SqlText.Identifier(rename.From)} RENAME TO {SqlText.Identifier(rename.To)}; ";

    private static BackupException InUse(IReadOnlyList<(string From, string To)> renames, BackupException e)
    {
        var names = string.Join(", ", renames.Select(static r => SqlText.Literal(r.From)));
        return new BackupException(
            e.Kind,
            e.Message,
            "end the sessions that hold it, which may need a superuser: "
                + $"SELECT pid, usename, application_name FROM pg_stat_activity WHERE datname IN ({names})",
            e);
    }

    private async Task TerminateUntilAsync(Task renaming, Session other, IEnumerable<string> databases)
    {
        var names = string.Join(", ", databases.Select(SqlText.Literal));
        var sql = $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({names})";
        while (!renaming.IsCompleted)
        {
            try
            {
                await other.ExecuteAsync(sql, CancellationToken.None);
            }
            catch (BackupException e)
            {
                // Sessions of a superuser are not ours to end; the rename waits a few seconds for them and says so.
                log.Information("sessions could not be ended: {Message}", e.Message);
                return;
            }

            await Task.WhenAny(renaming, Task.Delay(TerminationInterval, CancellationToken.None));
        }
    }

    private async Task<bool> HasNameAsync(string? oid, string name)
    {
        try
        {
            await using var session = await Session.OpenAsync(maintenance.Settings, CancellationToken.None);
            var found = await session.TextAsync(
                "SELECT datname::text FROM pg_database WHERE oid = $1::bigint::oid",
                CancellationToken.None,
                long.Parse(oid ?? "0", CultureInfo.InvariantCulture));
            return found == name;
        }
        catch (BackupException e)
        {
            log.Warning("which database has the name \"{Name}\" now can't be told: {Message}", name, e.Message);
            return false;
        }
    }

    private async Task TryRollbackAsync()
    {
        try
        {
            await maintenance.ExecuteAsync("ROLLBACK", CancellationToken.None);
        }
        catch (BackupException e)
        {
            log.Debug(e, "rollback of a rename");
        }
    }
}
