using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Event triggers of a restored database are for what its users do, and not for the restore: one that logs would have a row
/// more than was backed up, for a REFRESH of ours or, from PostgreSQL 17 on, for a connection.
/// </summary>
internal static class EventTriggers
{
    /// <summary>A setting of PostgreSQL 17 and later that switches event triggers off and nothing else.</summary>
    private const string Switch = "event_triggers=off";

    // Event triggers that are ENABLE ALWAYS or ENABLE REPLICA fire in it all the same, and ordinary ones don't.
    private const string Role = "session_replication_role=replica";

    private const int SwitchSince = 17, GrantedSince = 15;

    /// <summary>How to connect so that event triggers don't fire; as it was where our role may not say so.</summary>
    /// <param name="beside">A session on the server, of the same role.</param>
    /// <param name="database">Where to connect to.</param>
    /// <param name="loading">The database is still to be loaded, for which ordinary triggers have to be what they are.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task<ConnectionSettings> SilenceAsync(
        Session beside, ConnectionSettings database, bool loading, CancellationToken cancel)
    {
        var setting = beside.ServerMajor >= SwitchSince ? Switch : Role;
        if ((loading && setting == Role) || !await MaySetAsync(beside, setting[..setting.IndexOf('=', StringComparison.Ordinal)], cancel))
        {
            return database;
        }

        // As a startup option, since a trigger on login has fired when a SET comes.
        var silent = database with { Options = $"-c {setting}" };
        try
        {
            await using var trial = await Session.OpenAsync(silent with { Database = beside.Settings.Database }, cancel);
            return silent;
        }
        catch (BackupException) when (!cancel.IsCancellationRequested)
        {
            // A pooler refuses startup options that it does not know.
            return database;
        }
    }

    private static async Task<bool> MaySetAsync(Session session, string name, CancellationToken cancel) => await session.TextAsync(
        session.ServerMajor >= GrantedSince
            ? "SELECT has_parameter_privilege($1, 'SET')::text"
            : "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user AND $1::text <> ''",
        cancel,
        name) == "true";
}
