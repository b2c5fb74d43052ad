using Npgsql;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>Reads what a restore needs to know of a database and pg_dump does not write down.</summary>
/// <param name="session">A session in the database.</param>
/// <param name="shared">For what the cluster keeps of it.</param>
internal sealed class DatabaseInspector(Session session, SharedCatalogs shared)
{
    // to_jsonb: the columns of pg_database differ from version to version (datlocprovider 15, daticurules 16, datlocale 17).
    private const string DatabaseQuery =
        """
        SELECT textsend(pg_get_userbyid(d.datdba)::text), pg_encoding_to_char(d.encoding)::text,
               coalesce(j ->> 'datcollate', ''), coalesce(j ->> 'datctype', ''), coalesce(j ->> 'datlocprovider', 'c'),
               coalesce(j ->> 'datlocale', j ->> 'daticulocale'), j ->> 'daticurules', j ->> 'datcollversion',
               d.datconnlimit, textsend(shobj_description(d.oid, 'pg_database')), textsend(t.spcname::text), d.datacl IS NOT NULL,
               d.datistemplate
        FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace, to_jsonb(d) j
        WHERE d.oid = $1::oid
        """;

    private const string SettingsQuery =
        """
        SELECT textsend(r.rolname::text), split_part(c, '=', 1), textsend(substr(c, strpos(c, '=') + 1))
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c
        WHERE s.setdatabase = $1::oid
        ORDER BY r.rolname, 2
        """;

    private const string GrantsQuery =
        """
        SELECT textsend(r.rolname::text), a.privilege_type::text, a.is_grantable
        FROM pg_database d, aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE d.oid = $1::oid AND d.datacl IS NOT NULL
        ORDER BY r.rolname, 2
        """;

    // Those of PostgreSQL's own are on every server.
    private const string TablespacesQuery =
        $"""
        SELECT DISTINCT c.reltablespace::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.reltablespace <> 0 AND {SqlText.UserSchemas}
        """;

    private const string TablespaceNamesQuery =
        "SELECT textsend(spcname::text) FROM pg_tablespace WHERE oid = ANY($1::oid[]) AND spcname !~ '^pg_' ORDER BY spcname";

    private const string ExtensionsQuery = "SELECT extname::text, extversion FROM pg_extension ORDER BY 1";

    public async Task<DatabaseProperties> ReadAsync(CancellationToken cancel)
    {
        var oid = await OidAsync(session, cancel);
        var rows = await shared.QueryAsync(
            DatabaseQuery,
            static r => (
                Properties: new DatabaseProperties
                {
                    Name = string.Empty,
                    Owner = string.Empty,
                    Encoding = r.GetString(1),
                    Collate = r.GetString(2),
                    CharacterType = r.GetString(3),
                    LocaleProvider = r.GetString(4) switch { "i" => "icu", "b" => "builtin", _ => "libc" },
                    Locale = Text(r, 5),
                    IcuRules = Text(r, 6),
                    CollationVersion = Text(r, 7),
                    ConnectionLimit = r.GetInt32(8),
                    IsTemplate = r.GetBoolean(12),
                    Tablespace = string.Empty,
                    Settings = [],
                },
                Owner: Bytes(r, 0),
                Comment: Bytes(r, 9),
                Tablespace: Bytes(r, 10),
                HasGrants: r.GetBoolean(11)),
            cancel,
            oid);
        var found = rows[0];
        return found.Properties with
        {
            Name = session.Settings.Database,
            Owner = await DecodeAsync(found.Owner, cancel) ?? string.Empty,
            Comment = await DecodeAsync(found.Comment, cancel),
            Tablespace = await DecodeAsync(found.Tablespace, cancel) ?? string.Empty,
            Settings = await ReadSettingsAsync(oid, cancel),
            Grants = found.HasGrants ? await ReadGrantsAsync(oid, cancel) : null,
        };
    }

    /// <summary>Tablespaces, other than PostgreSQL's own, that hold something of the database besides the one it is in.</summary>
    public async Task<IReadOnlyList<string>> ReadTablespacesAsync(CancellationToken cancel)
    {
        var oids = await session.QueryAsync(TablespacesQuery, static r => r.GetInt64(0), cancel);
        return await ReadNamesAsync(shared, TablespaceNamesQuery, oids, cancel);
    }

    public Task<IReadOnlyList<ExtensionRecord>> ReadExtensionsAsync(CancellationToken cancel) =>
        session.QueryAsync(ExtensionsQuery, static r => new ExtensionRecord(r.GetString(0), r.GetString(1)), cancel);

    /// <summary>The oid of the database that a session is in; a pooler may know it by another name.</summary>
    public static async Task<long> OidAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            "SELECT oid::bigint FROM pg_database WHERE datname = current_database()", static r => r.GetInt64(0), cancel);
        return rows[0];
    }

    /// <summary>The database's size in bytes.</summary>
    public static async Task<long> ReadSizeAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync("SELECT pg_database_size(current_database())", static r => r.GetInt64(0), cancel);
        return rows[0];
    }

    /// <summary>The size of all databases of the server in bytes; of those that the role may connect to.</summary>
    public static async Task<long> ReadSizeOfAllAsync(Session session, CancellationToken cancel)
    {
        const string query = """
            SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint
            FROM pg_database
            WHERE has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
            """;
        var rows = await session.QueryAsync(query, static r => r.GetInt64(0), cancel);
        return rows[0];
    }

    /// <summary>Names of shared objects by their oids.</summary>
    public static async Task<IReadOnlyList<string>> ReadNamesAsync(
        SharedCatalogs shared, string query, IEnumerable<long> oids, CancellationToken cancel)
    {
        var names = new List<string>();
        foreach (var name in await shared.QueryAsync(query, static r => r.GetFieldValue<byte[]>(0), cancel, oids.Distinct().ToArray()))
        {
            names.Add(await shared.TextAsync(name, cancel));
        }

        return names;
    }

    private async Task<IReadOnlyList<DatabaseSetting>> ReadSettingsAsync(long oid, CancellationToken cancel)
    {
        var settings = new List<DatabaseSetting>();
        foreach (var (role, name, value) in await shared.QueryAsync(
            SettingsQuery, static r => (Bytes(r, 0), r.GetString(1), Bytes(r, 2)), cancel, oid))
        {
            settings.Add(new DatabaseSetting(await DecodeAsync(role, cancel), name, await DecodeAsync(value, cancel) ?? string.Empty));
        }

        return settings;
    }

    private async Task<IReadOnlyList<DatabaseGrant>> ReadGrantsAsync(long oid, CancellationToken cancel)
    {
        var grants = new List<DatabaseGrant>();
        foreach (var (role, privilege, grantable) in await shared.QueryAsync(
            GrantsQuery, static r => (Bytes(r, 0), r.GetString(1), r.GetBoolean(2)), cancel, oid))
        {
            grants.Add(new DatabaseGrant(await DecodeAsync(role, cancel), privilege, grantable));
        }

        return grants;
    }

    private async Task<string?> DecodeAsync(byte[]? bytes, CancellationToken cancel) =>
        bytes is null ? null : await shared.TextAsync(bytes, cancel);

    private static byte[]? Bytes(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetFieldValue<byte[]>(column);

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);
}
