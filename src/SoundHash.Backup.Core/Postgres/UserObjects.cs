namespace SoundHash.Backup.Postgres;

/// <summary>Tells a database that has something of its own from one that is as CREATE DATABASE made it.</summary>
public static class UserObjects
{
    // Objects in schemas by their schema, so that an upgraded cluster's new oids in pg_catalog don't count; the others by
    // oid: from 16384 on (FirstNormalObjectId, src/include/access/transam.h) they are a user's.
    private const string Query =
        """
        WITH mine AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
        SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_proc WHERE pronamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_type WHERE typrelid = 0 AND typelem = 0 AND typnamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_operator WHERE oprnamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_collation WHERE collnamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_conversion WHERE connamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_opfamily WHERE opfnamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_ts_config WHERE cfgnamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_ts_dict WHERE dictnamespace IN (SELECT oid FROM mine))
            OR EXISTS (SELECT FROM pg_namespace WHERE oid IN (SELECT oid FROM mine) AND nspname <> 'public')
            OR EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql')
            OR EXISTS (SELECT FROM pg_largeobject_metadata)
            OR EXISTS (SELECT FROM pg_publication)
            OR EXISTS (SELECT FROM pg_event_trigger)
            OR EXISTS (SELECT FROM pg_foreign_data_wrapper)
            OR EXISTS (SELECT FROM pg_foreign_server)
            OR EXISTS (SELECT FROM pg_default_acl)
            OR EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)
            OR EXISTS (SELECT FROM pg_language WHERE oid >= 16384 AND lanname <> 'plpgsql')
        """;

    /// <summary>True when the database of a session has anything that PostgreSQL did not put there.</summary>
    public static async Task<bool> ExistAsync(Session session, CancellationToken cancel) =>
        await session.TextAsync(Query, cancel) != bool.FalseString;
}
