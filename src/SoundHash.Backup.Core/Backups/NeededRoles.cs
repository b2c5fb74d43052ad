using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups;

/// <summary>
/// Finds the roles that the set of a database names: owners, grantees and grantors, roles of policies, user mappings,
/// default privileges and settings. A restore has to have them.
/// </summary>
internal static class NeededRoles
{
    // pg_shdepend leaves out the bootstrap superuser, so that owners are asked of every catalogue that has them. What
    // belongs to an extension (e) or to another object (i: array types, say) comes with that, and an extension itself is
    // made without an owner.
    private const string OwnersQuery =
        """
        SELECT c.relname::text, o.attname::text, n.attname::text
        FROM pg_class c JOIN pg_attribute o ON o.attrelid = c.oid AND o.attname ~ 'owner$' AND o.atttypid = 'oid'::regtype
             LEFT JOIN pg_attribute n ON n.attrelid = c.oid AND n.attname ~ 'namespace$' AND n.atttypid = 'oid'::regtype
        WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND NOT c.relisshared AND c.relname <> 'pg_extension'
              AND has_column_privilege(c.oid, o.attnum, 'SELECT')
        """;

    // User mappings and default privileges have no column called owner; schema public is PostgreSQL's own and may still
    // have been given away. Rights on the database itself, and settings, are not found under its dbid.
    private const string DependencyQuery =
        """
        SELECT refobjid::bigint FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND dbid = $1::oid
              AND (deptype IN ('a', 'r') OR deptype = 'o'
                   AND classid IN ('pg_user_mapping'::regclass, 'pg_default_acl'::regclass, 'pg_namespace'::regclass))
        UNION SELECT datdba::bigint FROM pg_database WHERE oid = $1::oid
        UNION SELECT a.grantee::bigint FROM pg_database d, aclexplode(d.datacl) a WHERE d.oid = $1::oid
        UNION SELECT a.grantor::bigint FROM pg_database d, aclexplode(d.datacl) a WHERE d.oid = $1::oid
        UNION SELECT setrole::bigint FROM pg_db_role_setting WHERE setdatabase = $1::oid
        UNION SELECT subowner::bigint FROM pg_subscription WHERE subdbid = $1::oid
        """;

    private const string NamesQuery =
        "SELECT textsend(rolname::text) FROM pg_roles WHERE oid = ANY($1::oid[]) AND rolname !~ '^pg_' ORDER BY rolname";

    // FirstNormalObjectId (src/include/access/transam.h): below are the objects that initdb made, and large objects of users.
    private const int FirstOfUsers = 16384;

    public static async Task<IReadOnlyList<string>> ReadAsync(Session session, SharedCatalogs shared, CancellationToken cancel)
    {
        var catalogues = await session.QueryAsync(
            OwnersQuery, static r => OwnersOf(r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2)), cancel);
        var owners = await session.QueryAsync(string.Join("\nUNION ", catalogues), static r => r.GetInt64(0), cancel);
        var database = await DatabaseInspector.OidAsync(session, cancel);
        var others = await session.QueryAsync(DependencyQuery, static r => r.GetInt64(0), cancel, database);
        return await DatabaseInspector.ReadNamesAsync(shared, NamesQuery, owners.Concat(others), cancel);
    }

    private static string OwnersOf(string catalogue, string owner, string? schema) =>
        $"""
        SELECT x.{owner}::bigint FROM pg_catalog.{catalogue} x
        WHERE x.oid >= {(catalogue == "pg_largeobject_metadata" ? 0 : FirstOfUsers)}
              AND {(schema is null ? "true" : $"x.{schema} IN (SELECT oid FROM pg_catalog.pg_namespace WHERE {SqlText.UserSchemas})")}
              AND {(catalogue == "pg_namespace" ? SqlText.UserSchemas : "true")}
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                              WHERE d.classid = 'pg_catalog.{catalogue}'::regclass AND d.objid = x.oid AND d.deptype IN ('e', 'i'))
        """;
}
