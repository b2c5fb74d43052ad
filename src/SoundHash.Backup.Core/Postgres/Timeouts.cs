using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// PostgreSQL's timeouts, which a role or a database may have for its users. What runs for us takes as long as it takes. pg_dump and
/// pg_restore switch them off by themselves; psql and vacuumdb don't.
/// </summary>
public static class Timeouts
{
    private const int IdleSessionSince = 14, TransactionSince = 17;

    /// <summary>Statements that switch them off for the rest of a session; what a version does not know is set where pg_settings has it.</summary>
    public const string OffAsSql =
        """
        SET statement_timeout = 0;
        SET lock_timeout = 0;
        SET idle_in_transaction_session_timeout = 0;
        SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
        WHERE name IN ('idle_session_timeout', 'transaction_timeout');

        """;

    /// <summary>How to connect without them, for a program that can't be told: by startup options where the way to the server takes such.</summary>
    /// <param name="database">Where to connect to.</param>
    /// <param name="serverMajor">The server's major version.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task<ConnectionSettings> OffAsync(ConnectionSettings database, int serverMajor, CancellationToken cancel)
    {
        var options = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
            + (serverMajor >= IdleSessionSince ? " -c idle_session_timeout=0" : string.Empty)
            + (serverMajor >= TransactionSince ? " -c transaction_timeout=0" : string.Empty);
        var patient = database with { Options = $"{database.Options} {options}".TrimStart() };
        try
        {
            await using var trial = await Session.OpenAsync(patient, cancel);
            return patient;
        }
        catch (BackupException) when (!cancel.IsCancellationRequested)
        {
            // A pooler refuses startup options that it does not know.
            return database;
        }
    }
}
