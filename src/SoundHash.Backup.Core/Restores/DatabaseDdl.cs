using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>SQL that makes a database with the properties that it had; what pg_dump does only with -C and under the old name.</summary>
internal static class DatabaseDdl
{
    // Settings whose value is a list of quoted names: they are set element by element
    // (src/bin/pg_dump/dumputils.c, variable_is_guc_list_quote).
    private static readonly HashSet<string> ListSettings =
    [
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces",
        "unix_socket_directories",
    ];

    /// <summary>CREATE DATABASE from template0 with encoding and locale.</summary>
    public static string Create(string name, DatabaseProperties? properties, int serverMajor, bool noTablespaces)
    {
        var sql = $"CREATE DATABASE {SqlText.Identifier(name)} TEMPLATE template0";
        if (properties is null)
        {
            return sql;
        }

        sql += $" ENCODING {SqlText.Literal(properties.Encoding)}"
            + $" LC_COLLATE {SqlText.Literal(properties.Collate)} LC_CTYPE {SqlText.Literal(properties.CharacterType)}";
        if (serverMajor >= 15)
        {
            sql += $" LOCALE_PROVIDER {(properties.LocaleProvider is "icu" or "builtin" ? properties.LocaleProvider : "libc")}";
        }

        if (properties.Locale is { } locale && properties.LocaleProvider != "libc")
        {
            sql += $" {(properties.LocaleProvider == "icu" ? "ICU_LOCALE" : "BUILTIN_LOCALE")} {SqlText.Literal(locale)}";
        }

        if (properties.IcuRules is { } rules)
        {
            sql += $" ICU_RULES {SqlText.Literal(rules)}";
        }

        return noTablespaces || properties.Tablespace == "pg_default"
            ? sql
            : $"{sql} TABLESPACE {SqlText.Identifier(properties.Tablespace)}";
    }

    /// <summary>Comment, connection limit, owner and rights.</summary>
    public static IEnumerable<string> Finish(string name, DatabaseProperties properties, bool noOwner, bool noPrivileges)
    {
        var database = SqlText.Identifier(name);
        yield return $"COMMENT ON DATABASE {database} IS {(properties.Comment is { } comment ? SqlText.Literal(comment) : "NULL")}";
        if (properties.ConnectionLimit >= 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"ALTER DATABASE {database} CONNECTION LIMIT {properties.ConnectionLimit}");
        }

        if (!noOwner)
        {
            yield return $"ALTER DATABASE {database} OWNER TO {SqlText.Identifier(properties.Owner)}";
        }

        foreach (var sql in noPrivileges ? [] : Grants(database, properties))
        {
            yield return sql;
        }
    }

    /// <summary>
    /// Settings of the database and of roles in it: run when the data is there, since ones like
    /// default_transaction_read_only would stop the restore itself.
    /// </summary>
    public static IEnumerable<(DatabaseSetting Setting, string Sql)> Settings(string name, DatabaseProperties properties, bool noPrivileges)
    {
        // Settings of a role need the role, like its rights.
        foreach (var setting in properties.Settings.Where(s => s.Role is null || !noPrivileges))
        {
            var subject = setting.Role is null
                ? $"ALTER DATABASE {SqlText.Identifier(name)}"
                : $"ALTER ROLE {SqlText.Identifier(setting.Role)} IN DATABASE {SqlText.Identifier(name)}";
            yield return (setting, $"{subject} SET {SettingName(setting.Name)} TO {Value(setting)}");
        }
    }

    private static IEnumerable<string> Grants(string database, DatabaseProperties properties)
    {
        if (properties.Grants is not { } grants)
        {
            yield break;
        }

        yield return $"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {SqlText.Identifier(properties.Owner)}";
        foreach (var grant in grants)
        {
            var grantee = grant.Role is null ? "PUBLIC" : SqlText.Identifier(grant.Role);
            var option = grant.Grantable ? " WITH GRANT OPTION" : string.Empty;
            yield return $"GRANT {Privilege(grant.Privilege)} ON DATABASE {database} TO {grantee}{option}";
        }
    }

    private static string Privilege(string privilege) => privilege is "CREATE" or "CONNECT" or "TEMPORARY"
        ? privilege
        : throw new BackupException(
            ErrorKind.Verification,
            $"the contents of the set name an unknown right on the database: '{privilege}'");

    // Settings of extensions have a dot in their name: each part is an identifier.
    private static string SettingName(string name) => string.Join('.', name.Split('.').Select(SqlText.Identifier));

    private static string Value(DatabaseSetting setting) => ListSettings.Contains(setting.Name.ToLowerInvariant())
        ? string.Join(", ", SplitNames(setting.Value).DefaultIfEmpty(string.Empty).Select(SqlText.Literal))
        : SqlText.Literal(setting.Value);

    // As SplitGUCList of PostgreSQL: names separated by commas, quoted ones with doubled quotes inside.
    private static IEnumerable<string> SplitNames(string list)
    {
        for (var at = 0; at < list.Length; at++)
        {
            if (char.IsWhiteSpace(list[at]) || list[at] == ',')
            {
                continue;
            }

            if (list[at] != '"')
            {
                var comma = list.IndexOf(',', at);
                var end = comma < 0 ? list.Length : comma;
                yield return list[at..end].Trim();
                at = end;
                continue;
            }

            var name = new System.Text.StringBuilder();
            for (at++; at < list.Length; at++)
            {
                if (list[at] == '"' && (++at >= list.Length || list[at] != '"'))
                {
                    break;
                }

                name.Append(list[at]);
            }

            yield return name.ToString();
        }
    }
}
