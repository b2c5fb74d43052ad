using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>
/// What of an archive without a manifest is restored. Its list is all that tells which tables it has, and puts schema, name and owner
/// beside each other without quotes: pg_restore itself finds a table that somebody named, and the tables of the target tell
/// the others apart.
/// </summary>
/// <param name="Chosen">The tables that were asked for; all of the archive when empty.</param>
/// <param name="Filled">The tables that are looked at before rows come into them, or that must not be there yet.</param>
/// <param name="HasViews">The archive has materialized views.</param>
internal sealed record FileParts(IReadOnlyList<TableName> Chosen, IReadOnlyList<TableName> Filled, bool HasViews)
{
    private const string TablesQuery =
        """
        SELECT n.nspname::text, c.relname::text,
               EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
        """;

    // A partitioned table has no rows of its own to look at, and its partitions are looked at.
    private const string SequencesQuery =
        """
        SELECT n.nspname::text, s.relname::text, tn.nspname::text, t.relname::text
        FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
            JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
                AND d.refclassid = 'pg_class'::regclass
            JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
        WHERE s.relkind = 'S' AND t.relkind <> 'p'
        """;

    /// <summary>All of a file.</summary>
    public static FileParts All => new([], [], false);

    /// <summary>Finds the tables.</summary>
    /// <param name="list">Lists the archive, or the part of it that pg_restore's arguments choose.</param>
    /// <param name="path">Its path.</param>
    /// <param name="options">What is asked for.</param>
    /// <param name="target">The database with the tables, where rows alone are restored.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">A name fits none or several, or the target lacks a table.</exception>
    public static async Task<FileParts> FindAsync(
        Func<IReadOnlyList<string>, Task<ArchiveList>> list,
        string path,
        RestoreOptions options,
        ConnectionSettings target,
        CancellationToken cancel)
    {
        var chosen = new List<TableName>();
        foreach (var name in options.Tables)
        {
            chosen.Add(await FindAsync(list, path, name, options.SchemaOnly));
        }

        var all = await list([]);
        chosen = chosen.Distinct().ToList();
        return new FileParts(
            chosen,
            chosen.Count == 0 && options.DataOnly ? await FilledAsync(all, target, cancel) : chosen,
            all.HasViews);
    }

    private static async Task<TableName> FindAsync(
        Func<IReadOnlyList<string>, Task<ArchiveList>> list, string path, string name, bool schemaOnly)
    {
        var found = new HashSet<TableName>();
        var withoutRows = false;
        async Task<IReadOnlyList<string>> LinesAsync(string[] selection)
        {
            var part = await list(selection);
            withoutRows |= part.Tables.Count > 0;
            return schemaOnly ? part.Tables : part.Rows;
        }

        // What a line may mean is asked of pg_restore: it alone knows the names.
        async Task<bool> AddAsync(TableName table)
        {
            if ((await LinesAsync(table.Selection)).Count == 0)
            {
                return false;
            }

            found.Add(table);
            return true;
        }

        // Both names may have dots.
        foreach (var dot in Positions(name, ".").Where(dot => dot < name.Length - 1))
        {
            await AddAsync(new TableName(name[..dot], name[(dot + 1)..]));
        }

        foreach (var line in await LinesAsync([$"--table={name}"]))
        {
            var isKnown = false;
            foreach (var end in Positions(line, $" {name} "))
            {
                isKnown |= await AddAsync(new TableName(line[..end], name));
            }

            if (!isKnown)
            {
                throw new BackupException(
                    ErrorKind.Usage,
                    $"which schema of {path} has '{name}' can't be told (schema, name and owner: {line})",
                    "give it as schema.name; where a name is not in UTF-8, restore the file beside (--target-db NAME) and take the table from there");
            }
        }

        return found.ToList() switch
        {
            [var one] => one,
            [] when withoutRows => throw new BackupException(
                ErrorKind.Usage,
                $"'{name}' has no rows of its own in {path}",
                "name the partitions of a partitioned table one by one; --schema-only restores a definition alone"),
            [] => throw new BackupException(
                ErrorKind.Usage, $"{path} has no table '{name}'", "names are compared exactly, as schema.name or name, and without the quotes of SQL; pg_restore --list shows them"),
            var several => throw new BackupException(
                ErrorKind.Usage,
                $"'{name}' is in several schemas: {string.Join(", ", several.Select(static t => t.Schema))}",
                "give it as schema.name"),
        };
    }

    // Where a line fits two tables, as those of schema a, "b" and "b c", both have to be ready.
    private static async Task<IReadOnlyList<TableName>> FilledAsync(ArchiveList all, ConnectionSettings target, CancellationToken cancel)
    {
        if (all.Rows.Count == 0)
        {
            throw new BackupException(
                ErrorKind.Usage, "the file has no rows of any table, so that --data-only restores nothing", "restore it without --data-only");
        }

        await using var session = await Session.OpenAsync(target, cancel);
        var there = (await session.QueryAsync(
            TablesQuery, static r => (Table: new TableName(r.GetString(0), r.GetString(1)), OfExtension: r.GetBoolean(2)), cancel))
            .ToLookup(static t => $"{t.Table.Schema} {t.Table.Name}".Replace('\n', ' ').Replace('\r', ' '));
        var filled = new HashSet<TableName>();
        foreach (var line in all.Rows)
        {
            // A name that is not in UTF-8 may be the longer one of two that the line fits.
            var fitting = line.Contains('\uFFFD', StringComparison.Ordinal) ? [] : Beginnings(line).SelectMany(b => there[b]).ToList();
            if (fitting.Count == 0)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    $"the file has rows of a table that is no ordinary one of database \"{target.Database}\" (its schema, name and owner: {line}); nothing was changed",
                    "restore without --data-only, or single tables (--table)");
            }

            // Those of an extension have rows of their own.
            filled.UnionWith(fitting.Where(static t => !t.OfExtension).Select(static t => t.Table));
        }

        await EnsureSequencesAsync(all, filled, session, cancel);
        return filled.ToList();
    }

    // It would go back to where it was, below the rows that its table has by now.
    private static async Task EnsureSequencesAsync(ArchiveList all, HashSet<TableName> filled, Session session, CancellationToken cancel)
    {
        var owned = (await session.QueryAsync(
            SequencesQuery,
            static r => (Sequence: $"{r.GetString(0)} {r.GetString(1)}", Table: new TableName(r.GetString(2), r.GetString(3))),
            cancel)).ToLookup(static s => s.Sequence.Replace('\n', ' ').Replace('\r', ' '), static s => s.Table);
        foreach (var line in all.Sequences)
        {
            if (Beginnings(line).SelectMany(b => owned[b]).Where(t => !filled.Contains(t)).Select(static t => t.Sql).FirstOrDefault() is { } table)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    $"the file sets a sequence of {table}, whose rows it does not have (the sequence's schema, name and owner: {line}); nothing was changed",
                    "restore single tables (--table), which leaves sequences alone");
            }
        }
    }

    private static IEnumerable<string> Beginnings(string line) => Positions(line, " ").Select(end => line[..end]);

    // A name has at least one character.
    private static IEnumerable<int> Positions(string line, string mark)
    {
        for (var at = line.IndexOf(mark, 1, StringComparison.Ordinal); at > 0; at = line.IndexOf(mark, at + 1, StringComparison.Ordinal))
        {
            yield return at;
        }
    }
}
