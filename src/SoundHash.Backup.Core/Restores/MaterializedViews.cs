using System.Text;
using System.Text.RegularExpressions;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Materialized views hold no rows in a dump: pg_restore runs their queries again, and one that fails would end the whole
/// restore. They are left out of the archive's list and refreshed one by one when all else is there; one that fails is
/// a difference from the backup and costs nothing else.
/// </summary>
internal sealed partial class MaterializedViews : IDisposable
{
    private readonly IReadOnlyList<string> _names;
    private readonly MemoryFile? _list;

    private MaterializedViews(IReadOnlyList<string> names, MemoryFile? list)
    {
        _names = names;
        _list = list;
    }

    /// <summary>There are some to refresh.</summary>
    public bool Any => _names.Count > 0;

    /// <summary>Arguments for pg_restore that leave the refreshes out.</summary>
    public IReadOnlyList<string> Selection => _list is null ? [] : [$"--use-list={_list.Path}"];

    /// <summary>Nothing to refresh and nothing to leave out.</summary>
    public static MaterializedViews None() => new([], null);

    /// <summary>Reads from an archive's table of contents which views it refreshes.</summary>
    /// <param name="listing">pg_restore --list, in the encoding of the database.</param>
    /// <param name="tables">What the set recorded.</param>
    public static MaterializedViews Of(ReadOnlySpan<byte> listing, IEnumerable<TableRecord> tables)
    {
        // Latin-1 keeps every byte as it is: lines that are not ours go back unchanged.
        var lines = Encoding.Latin1.GetString(listing).Split('\n');
        var views = tables.Where(static t => t.Kind == RelationKind.MaterializedView && !t.OfExtension).ToList();
        var names = views.Where(static v => v.Rows is not null).Select(Name).ToHashSet();
        var kept = new StringBuilder();
        foreach (var line in lines)
        {
            var found = Refresh().Match(line) is { Success: true } match
                ? views.Where(
                    v => line.AsSpan(match.Length).StartsWith(InList(v), StringComparison.Ordinal)).MaxBy(static v => v.Name.Length)
                : null;
            if (found is null)
            {
                kept.Append(line).Append('\n');
            }
            else
            {
                names.Add(Name(found));
            }
        }

        if (names.Count == 0)
        {
            return None();
        }

        var list = new MemoryFile("list");
        list.Stream.Write(Encoding.Latin1.GetBytes(kept.ToString()));
        return new MaterializedViews(names.ToList(), list);
    }

    /// <summary>Refreshes them, in whatever order works, since one may read another.</summary>
    /// <returns>Those that could not be refreshed.</returns>
    public async Task<IReadOnlyList<TableDifference>> RefreshAsync(ConnectionSettings database, ILogger log, CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(database, cancel);
        // As pg_restore does it; then as a person would, for functions that find their tables by the search path.
        var open = await RefreshAsync(session, _names, log, cancel);
        if (open.Count > 0)
        {
            await session.ExecuteAsync("RESET search_path", cancel);
            open = await RefreshAsync(session, open.Select(static d => d.Table).ToList(), log, cancel);
        }

        return open;
    }

    /// <summary>Frees the list; the names can still be refreshed.</summary>
    public void Dispose() => _list?.Dispose();

    private static string Name(TableRecord view) => SqlText.Identifier(view.Schema, view.Name);

    private static string InList(TableRecord view) =>
        Encoding.Latin1.GetString(Encoding.UTF8.GetBytes($"{view.Schema} {view.Name} ".Replace('\n', ' ').Replace('\r', ' ')));

    private static async Task<List<TableDifference>> RefreshAsync(
        Session session, IReadOnlyList<string> names, ILogger log, CancellationToken cancel)
    {
        var failed = names.Select(static n => new TableDifference(n, string.Empty)).ToList();
        int before;
        do
        {
            before = failed.Count;
            var still = new List<TableDifference>();
            foreach (var view in failed)
            {
                try
                {
                    await session.ExecuteAsync($"REFRESH MATERIALIZED VIEW {view.Table}", cancel);
                }
                catch (BackupException e) when (e.IsOfStatement() && !cancel.IsCancellationRequested)
                {
                    log.Debug(e, "refresh of {View}", view.Table);
                    still.Add(view with { Problem = $"could not be refreshed and is empty: {e.Message}" });
                }
            }

            failed = still;
        }
        while (failed.Count > 0 && failed.Count < before);

        return failed;
    }

    // "3385; 0 16397 MATERIALIZED VIEW DATA schema name owner" (src/bin/pg_dump/pg_backup_archiver.c, PrintTOCSummary)
    [GeneratedRegex("^[0-9]+; [0-9]+ [0-9]+ MATERIALIZED VIEW DATA ", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Refresh();
}
