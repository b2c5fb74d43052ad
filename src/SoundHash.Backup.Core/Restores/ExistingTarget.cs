using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>What the target of a restore is.</summary>
/// <param name="Exists">A database of that name is there.</param>
/// <param name="HasObjects">It has objects.</param>
/// <param name="IntoExisting">The restore goes into it and not into a new one.</param>
internal sealed record TargetState(bool Exists, bool HasObjects, bool IntoExisting)
{
    /// <summary>Looks at the target, and refuses what the options do not cover.</summary>
    /// <exception cref="BackupException">The target has objects and nothing was said of them, or is not there.</exception>
    public static async Task<TargetState> ReadAsync(TargetServer server, RestoreOptions options, CancellationToken cancel)
    {
        var exists = await server.ExistsAsync(options.Target, cancel);
        var hasObjects = exists && await server.TargetHasObjectsAsync(cancel);
        var partly = options.DataOnly || options.Tables.Count > 0;
        if (options.DataOnly && !exists)
        {
            throw new BackupException(
                ErrorKind.Usage, $"--data-only needs the tables of database \"{options.Target}\", which does not exist", "restore without --data-only");
        }

        if (hasObjects && !partly && options.Mode == TargetMode.Empty)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"database \"{options.Target}\" has objects; nothing was changed",
                "--target-db NAME restores beside it, --swap puts the restored one in its place and keeps it, --clean drops it first");
        }

        return new TargetState(exists, hasObjects, exists && options.Mode == TargetMode.Empty);
    }
}

/// <summary>Facts of a database that decide how rows and tables are put into it.</summary>
/// <param name="Schemas">Schemas that are there.</param>
/// <param name="IsSuperuser">The role may disable triggers, those of foreign keys included.</param>
internal sealed record TargetFacts(IReadOnlySet<string> Schemas, bool IsSuperuser)
{
    public static async Task<TargetFacts> ReadAsync(ConnectionSettings database, CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(database, cancel);
        var schemas = await session.QueryAsync("SELECT nspname::text FROM pg_namespace", static r => r.GetString(0), cancel);
        return new TargetFacts(schemas.ToHashSet(), await session.TextAsync("SELECT current_setting('is_superuser')", cancel) == "on");
    }
}

/// <summary>Checks an existing database before rows or tables are put into it.</summary>
internal static class ExistingTarget
{
    /// <summary>With data only, every table must be there and empty; else a table that is to be made must not be there.</summary>
    /// <exception cref="BackupException">It is not so; nothing was changed.</exception>
    public static async Task EnsureReadyAsync(
        ConnectionSettings database, IReadOnlyList<TableRecord> tables, RestoreOptions options, CancellationToken cancel)
    {
        if (!options.DataOnly && options.Tables.Count == 0)
        {
            return;
        }

        await using var session = await Session.OpenAsync(database, cancel);
        await session.ExecuteAsync("SET row_security = off", cancel);
        foreach (var table in tables.Where(static t => t.IsJudged))
        {
            var name = SqlText.Identifier(table.Schema, table.Name);
            var exists = await session.TextAsync("SELECT to_regclass($1)::text", cancel, name) is not null;
            if (options.DataOnly != exists)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    exists ? $"table {name} is in database \"{database.Database}\" already; nothing was changed"
                        : $"table {name} is not in database \"{database.Database}\"; nothing was changed",
                    exists ? "restore it beside with --target-db NAME, or into the empty table with --data-only" : "restore without --data-only");
            }

            if (options.DataOnly && await session.TextAsync($"SELECT 'yes' FROM ONLY {name} LIMIT 1", cancel) is not null)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    $"table {name} of database \"{database.Database}\" is not empty: its rows would be doubled; nothing was changed",
                    "TRUNCATE it first, or restore beside with --target-db NAME");
            }
        }
    }
}
