using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>A database of a server.</summary>
/// <param name="Name">Its name.</param>
/// <param name="AllowsConnections">False where ALTER DATABASE … ALLOW_CONNECTIONS says so.</param>
/// <param name="IsInvalid">DROP DATABASE was interrupted: nothing but dropping it again is possible.</param>
public sealed record ServerDatabase(string Name, bool AllowsConnections, bool IsInvalid);

/// <summary>Facts of a server that belong to the cluster and not to one database.</summary>
public static class ServerFacts
{
    /// <summary>The cluster's system identifier, or null where the role may not read it.</summary>
    public static async Task<string?> SystemIdentifierAsync(Session session, ILogger log, CancellationToken cancel)
    {
        try
        {
            return await session.TextAsync("SELECT system_identifier::text FROM pg_control_system()", cancel);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Warning("the system identifier can't be read, so that a mix-up of clusters would not be noticed: {Message}", e.Message);
            return null;
        }
    }

    /// <summary>The server's clock.</summary>
    public static async Task<DateTimeOffset> ClockAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync("SELECT clock_timestamp()", static r => r.GetFieldValue<DateTimeOffset>(0), cancel);
        return rows[0];
    }

    /// <summary>All databases but template0, by name; those that are marked as templates, which may only be a guard, too.</summary>
    public static Task<IReadOnlyList<ServerDatabase>> DatabasesAsync(Session session, CancellationToken cancel) => session.QueryAsync(
        """
        SELECT datname::text, datallowconn, datconnlimit = -2 FROM pg_database
        WHERE datname <> 'template0' ORDER BY datname COLLATE "C"
        """,
        static r => new ServerDatabase(r.GetString(0), r.GetBoolean(1), r.GetBoolean(2)),
        cancel);

    /// <summary>True where the role may read role passwords.</summary>
    public static async Task<bool> MayReadPasswordsAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync("SELECT has_table_privilege('pg_authid', 'SELECT')", static r => r.GetBoolean(0), cancel);
        return rows[0];
    }
}
