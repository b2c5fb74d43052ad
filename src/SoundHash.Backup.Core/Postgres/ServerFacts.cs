using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

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

    /// <summary>Databases that accept connections, without templates, by name.</summary>
    public static Task<IReadOnlyList<string>> DatabasesAsync(Session session, CancellationToken cancel) => session.QueryAsync(
        "SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname COLLATE \"C\"",
        static r => r.GetString(0),
        cancel);

    /// <summary>True where the role may read role passwords.</summary>
    public static async Task<bool> MayReadPasswordsAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync("SELECT has_table_privilege('pg_authid', 'SELECT')", static r => r.GetBoolean(0), cancel);
        return rows[0];
    }
}
