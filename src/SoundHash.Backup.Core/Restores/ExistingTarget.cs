using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>Checks an existing database before rows or tables are put into it.</summary>
internal static class ExistingTarget
{
    /// <summary>With data only, every table must be there and empty; else a table that is to be made must not be there.</summary>
    /// <exception cref="BackupException">It is not so; nothing was changed.</exception>
    public static async Task EnsureReadyAsync(
        ConnectionSettings database, IReadOnlyList<TableName> tables, bool dataOnly, CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(database, cancel);
        await session.ExecuteAsync("SET row_security = off", cancel);
        foreach (var name in tables.Select(static t => t.Sql))
        {
            var exists = await session.TextAsync("SELECT to_regclass($1)::text", cancel, name) is not null;
            if (dataOnly != exists)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    exists ? $"table {name} is in database \"{database.Database}\" already; nothing was changed"
                        : $"table {name} is not in database \"{database.Database}\"; nothing was changed",
                    exists ? "restore it beside with --target-db NAME, or into the empty table with --data-only"
                        : "restore without --data-only");
            }

            if (dataOnly && await session.TextAsync($"SELECT 'yes' FROM ONLY {name} LIMIT 1", cancel) is not null)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    $"table {name} of database \"{database.Database}\" is not empty: its rows would be doubled; nothing was changed",
                    "TRUNCATE it first, or restore beside with --target-db NAME");
            }
        }
    }

    /// <summary>SQL that makes the schemas of tables that the database does not have: single tables come without theirs.</summary>
    public static async Task<string> MakeSchemasAsync(ConnectionSettings database, IEnumerable<TableName> tables, CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(database, cancel);
        var schemas = await session.QueryAsync("SELECT nspname::text FROM pg_namespace", static r => r.GetString(0), cancel);
        return string.Concat(tables.Select(static t => t.Schema).Distinct().Except(schemas)
            .Select(static s => $"{LoadGuards.InUtf8}CREATE SCHEMA {SqlText.Identifier(s)};\n"));
    }

    /// <summary>Says what of the database's own an existing one does not get.</summary>
    public static async Task WarnOfPropertiesAsync(TargetServer server, DatabaseProperties recorded, ILogger log, CancellationToken cancel)
    {
        var (encoding, collate, type) = await server.TargetLocaleAsync(cancel);
        if ((encoding, collate, type) != (recorded.Encoding, recorded.Collate, recorded.CharacterType))
        {
            log.Warning(
                "database \"{Target}\" has {Encoding} {Collate} {Type}, and the one that was backed up {Was}: text may sort differently",
                server.Target,
                encoding,
                collate,
                type,
                $"{recorded.Encoding} {recorded.Collate} {recorded.CharacterType}");
        }

        if (recorded.Settings.Count > 0 || recorded.Grants is not null || recorded.Comment is not null || recorded.ConnectionLimit >= 0
            || recorded.IsTemplateAs(server.Target))
        {
            log.Warning(
                "database \"{Target}\" keeps its own owner, rights, settings, comment, connection limit and whether it is a template; --clean or --swap restore those",
                server.Target);
        }
    }
}
