namespace SoundHash.Backup.Postgres;

/// <summary>
/// PostgreSQL's timeouts, which a role or a database may have for its users. What runs for us takes as long as it takes. Our own
/// sessions switch them off when they begin, and so do pg_dump and pg_restore; psql and vacuumdb don't.
/// </summary>
public static class Timeouts
{
    private const int IdleSessionSince = 14, TransactionSince = 17;

    /// <summary>libpq's options that switch them off from the first moment of a session on.</summary>
    public static string OffAsOptions(int serverMajor) =>
        "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
        + (serverMajor >= IdleSessionSince ? " -c idle_session_timeout=0" : string.Empty)
        + (serverMajor >= TransactionSince ? " -c transaction_timeout=0" : string.Empty);
}
