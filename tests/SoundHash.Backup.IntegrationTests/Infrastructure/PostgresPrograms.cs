using System.Globalization;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>The PostgreSQL that the tests run against: 15, unless tests/matrix.sh says another.</summary>
public static class PostgresPrograms
{
    /// <summary>The directory of server and client programs.</summary>
    public static string Directory { get; } = Environment.GetEnvironmentVariable("SHBACKUP_TEST_PG_BIN") ?? "/usr/lib/postgresql/15/bin";

    /// <summary>Its major version, as Debian's directory names it.</summary>
    public static int Major { get; } = int.Parse(Path.GetFileName(Path.GetDirectoryName(Directory))!, CultureInfo.InvariantCulture);

    /// <summary>A directory for PG_BIN_DIR with a script in the place of one program.</summary>
    public static async Task<TempFolder> WithOwnAsync(string program, string script)
    {
        var folder = new TempFolder("bin");
        await Command.ShellAsync($"ln -s {Directory}/* '{folder.Path}'; rm '{folder[program]}'");
        await File.WriteAllTextAsync(folder[program], script);
        await Command.ShellAsync($"chmod 755 '{folder.Path}' '{folder[program]}'");
        return folder;
    }

    /// <summary>SQL that lets a role read all tables that are made after it in the same database.</summary>
    public static string LetRead(string role) => Major >= 14
        ? $"GRANT pg_read_all_data TO {role}"
        : $"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}; ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO {role}";

    /// <summary>Sees that tables and indexes of a database are sound: by pg_amcheck, or before PostgreSQL 14 by what it calls for indexes.</summary>
    public static Task CheckAsync(string host, string database) => Command.ShellAsync(Major >= 14
        ? $"{Directory}/pg_amcheck -h '{host}' -U postgres --install-missing --heapallindexed '{database}'"
        : $"""
            {Directory}/psql -X -q -h '{host}' -U postgres -v ON_ERROR_STOP=1 -d '{database}' -o /dev/null <<'END'
            CREATE EXTENSION IF NOT EXISTS amcheck;
            SELECT bt_index_parent_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
            WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.relpersistence = 'p';
            END
            """);
}
