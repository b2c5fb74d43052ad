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
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f')
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
        async Task AddAsync(string[] selection, Func<string, TableName?> read)
        {
            var part = await list(selection);
            found.UnionWith((schemaOnly ? part.Tables : part.Rows).Select(read).OfType<TableName>());
            withoutRows |= part.Tables.Count > 0;
        }

        // Both names may have dots.
        for (var dot = name.IndexOf('.', 1); dot > 0 && dot < name.Length - 1; dot = name.IndexOf('.', dot + 1))
        {
            var table = new TableName(name[..dot], name[(dot + 1)..]);
            await AddAsync(table.Selection, _ => table);
        }

        await AddAsync(
            [$"--table={name}"],
            line => line.IndexOf($" {name} ", StringComparison.Ordinal) is > 0 and var end ? new TableName(line[..end], name) : null);
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
        await using var session = await Session.OpenAsync(target, cancel);
        var there = (await session.QueryAsync(
            TablesQuery, static r => (Table: new TableName(r.GetString(0), r.GetString(1)), OfExtension: r.GetBoolean(2)), cancel))
            .ToLookup(static t => $"{t.Table.Schema} {t.Table.Name}".Replace('\n', ' ').Replace('\r', ' '));
        var filled = new HashSet<TableName>();
        foreach (var line in all.Rows)
        {
            var fitting = Beginnings(line).SelectMany(b => there[b]).ToList();
            if (fitting.Count == 0)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    $"the file has rows of a table that is not in database \"{target.Database}\" (its schema, name and owner: {line}); nothing was changed",
                    "restore without --data-only, or single tables (--table)");
            }

            // Those of an extension have rows of their own.
            filled.UnionWith(fitting.Where(static t => !t.OfExtension).Select(static t => t.Table));
        }

        return filled.ToList();
    }

    private static IEnumerable<string> Beginnings(string line)
    {
        for (var end = line.IndexOf(' ', StringComparison.Ordinal); end > 0; end = line.IndexOf(' ', end + 1))
        {
            yield return line[..end];
        }
    }
}
