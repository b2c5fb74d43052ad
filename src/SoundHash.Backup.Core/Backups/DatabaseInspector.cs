using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>Reads what a restore needs to know of a database and pg_dump does not write down.</summary>
internal static class DatabaseInspector
{
    // to_jsonb: the columns of pg_database differ from version to version (datlocprovider 15, daticurules 16, datlocale 17).
    private const string DatabaseQuery =
        """
        SELECT pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text,
               coalesce(j ->> 'datcollate', ''), coalesce(j ->> 'datctype', ''), coalesce(j ->> 'datlocprovider', 'c'),
               coalesce(j ->> 'datlocale', j ->> 'daticulocale'), j ->> 'daticurules', j ->> 'datcollversion',
               d.datconnlimit, shobj_description(d.oid, 'pg_database'), t.spcname::text, d.datacl IS NOT NULL
        FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace, to_jsonb(d) j
        WHERE d.datname = current_database()
        """;

    private const string SettingsQuery =
        """
        SELECT r.rolname::text, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c
        WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        ORDER BY 1, 2
        """;

    private const string GrantsQuery =
        """
        SELECT r.rolname::text, a.privilege_type::text, a.is_grantable
        FROM pg_database d, aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE d.datname = current_database() AND d.datacl IS NOT NULL
        ORDER BY 1, 2
        """;

    // pg_shdepend leaves out the bootstrap superuser, so that owners are asked for too.
    private const string RolesQuery =
        """
        SELECT r.rolname::text FROM pg_roles r WHERE r.oid IN (
            SELECT refobjid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND deptype IN ('o', 'a', 'r')
                AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            UNION SELECT relowner FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
            UNION SELECT proowner FROM pg_proc WHERE pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
            UNION SELECT nspowner FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
            UNION SELECT datdba FROM pg_database WHERE datname = current_database())
          AND r.rolname !~ '^pg_'
        ORDER BY 1
        """;

    private const string ExtensionsQuery = "SELECT extname::text, extversion FROM pg_extension ORDER BY 1";

    public static async Task<DatabaseProperties> ReadAsync(Session session, CancellationToken cancel)
    {
        var settings = await session.QueryAsync(
            SettingsQuery, static r => new DatabaseSetting(Text(r, 0), r.GetString(1), r.GetString(2)), cancel);
        var grants = await session.QueryAsync(
            GrantsQuery, static r => new DatabaseGrant(Text(r, 0), r.GetString(1), r.GetBoolean(2)), cancel);
        var rows = await session.QueryAsync(
            DatabaseQuery,
            r => new DatabaseProperties
            {
                Name = session.Settings.Database,
                Owner = r.GetString(0),
                Encoding = r.GetString(1),
                Collate = r.GetString(2),
                CharacterType = r.GetString(3),
                LocaleProvider = r.GetString(4) switch { "i" => "icu", "b" => "builtin", _ => "libc" },
                Locale = Text(r, 5),
                IcuRules = Text(r, 6),
                CollationVersion = Text(r, 7),
                ConnectionLimit = r.GetInt32(8),
                Comment = Text(r, 9),
                Tablespace = r.GetString(10),
                Settings = settings,
                Grants = r.GetBoolean(11) ? grants : null,
            },
            cancel);
        return rows[0];
    }

    public static Task<IReadOnlyList<string>> ReadRolesAsync(Session session, CancellationToken cancel) =>
        session.QueryAsync(RolesQuery, static r => r.GetString(0), cancel);

    public static Task<IReadOnlyList<ExtensionRecord>> ReadExtensionsAsync(Session session, CancellationToken cancel) =>
        session.QueryAsync(ExtensionsQuery, static r => new ExtensionRecord(r.GetString(0), r.GetString(1)), cancel);

    /// <summary>The database's size in bytes.</summary>
    public static async Task<long> ReadSizeAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync("SELECT pg_database_size(current_database())", static r => r.GetInt64(0), cancel);
        return rows[0];
    }

    private static string? Text(Npgsql.NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);
}
