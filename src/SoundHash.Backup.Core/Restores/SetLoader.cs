using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>Loads the archives of a set, or chosen tables of it, into a database.</summary>
/// <param name="source">The set.</param>
/// <param name="chosen">The tables that were asked for; all of the set when empty.</param>
/// <param name="run">What the restore works with.</param>
/// <param name="phases">Where the times go.</param>
internal sealed class SetLoader(SetSource source, IReadOnlyList<TableRecord> chosen, RestoreContext run, PhaseClock phases)
{
    private RestoreOptions Options => run.Options;

    /// <summary>Fills a new database; when it fails, the database is of no use.</summary>
    /// <returns>The materialized views that are still to be refreshed.</returns>
    public async Task<MaterializedViews> LoadAsync(ConnectionSettings database, CancellationToken cancel)
    {
        if (chosen.Count > 0)
        {
            return await LoadInTransactionAsync(database, cancel);
        }

        var last = source.Manifest.Single(source.IsSplit ? ObjectRole.PostData : ObjectRole.Dump);
        using var views = await ViewsAsync(last, database, cancel);
        if (source.IsSplit)
        {
            await LoadSplitAsync(run.Loader(database), views, cancel);
        }
        else
        {
            if (Options.Jobs > 1)
            {
                run.Log.Information(
                    "set {Id} was dumped in one stream, so that it is restored in one, whatever --jobs says ({Jobs})", source.Manifest.Id, Options.Jobs);
            }

            await phases.RunAsync("load", () => LoadOneAsync(run.Loader(database), last, views.Selection, cancel));
        }

        return views;
    }

    /// <summary>Loads into a database in one transaction: all or nothing.</summary>
    /// <returns>The materialized views that are still to be refreshed.</returns>
    public async Task<MaterializedViews> LoadInTransactionAsync(ConnectionSettings database, CancellationToken cancel)
    {
        var last = source.Manifest.Single(source.IsSplit ? ObjectRole.PostData : ObjectRole.Dump);
        using var views = chosen.Count == 0 && !Options.DataOnly ? await ViewsAsync(last, database, cancel) : MaterializedViews.None();
        await phases.RunAsync("load", async () =>
        {
            await using var script = run.Loader(database).StartScript(transaction: true);
            await WriteAsync(database, views, script, cancel);
            await script.FinishAsync(cancel);
        });
        run.WarnOfLeftOut(views: source.Contents.Tables.Any(static t => t.Kind == RelationKind.MaterializedView), singleTables: chosen.Count > 0);
        return views;
    }

    private async Task WriteAsync(ConnectionSettings database, MaterializedViews views, SqlScript script, CancellationToken cancel)
    {
        var guards = Options.DataOnly
            ? await LoadGuards.ReadAsync(
                database, TableName.Of(chosen.Count > 0 ? chosen : source.Contents.Tables), chosen.Count == 0, run.Log, cancel)
            : LoadGuards.None;
        await script.WriteAsync(guards.Before, cancel);
        if (chosen.Count == 0)
        {
            // Up to version 16 large objects are made in the definitions, and only their bytes are data.
            foreach (var item in source.ArchivesInOrder().Where(i => !Options.DataOnly || i.Role != ObjectRole.PostData))
            {
                await ConvertAsync(
                    database,
                    item,
                    item.Role is ObjectRole.Dump or ObjectRole.PostData ? views.Selection : [],
                    script,
                    cancel);
            }
        }
        else
        {
            await WriteTablesAsync(database, script, cancel);
        }

        await script.WriteAsync(guards.After, cancel);
    }

    private async Task WriteTablesAsync(ConnectionSettings database, SqlScript script, CancellationToken cancel)
    {
        if (!Options.DataOnly)
        {
            await script.WriteAsync(await ExistingTarget.MakeSchemasAsync(database, TableName.Of(chosen), cancel), cancel);
        }

        foreach (var table in chosen)
        {
            var only = new TableName(table.Schema, table.Name).Selection;
            var (definition, rows) = source.ArchivesOf(table);
            if (definition != rows && !Options.DataOnly)
            {
                await ConvertAsync(database, definition, only, script, cancel);
            }

            if (definition == rows || !Options.SchemaOnly)
            {
                await ConvertAsync(database, rows, only, script, cancel);
            }
        }
    }

    private async Task LoadSplitAsync(ArchiveLoader loader, MaterializedViews views, CancellationToken cancel)
    {
        await phases.RunAsync("definitions", () => LoadOneAsync(loader, source.Manifest.Single(ObjectRole.PreData), [], cancel));
        if (!Options.SchemaOnly)
        {
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = Options.Jobs, CancellationToken = cancel };
            await phases.RunAsync(
                "data",
                () => Parallel.ForEachAsync(source.Data(), parallel, async (item, stop) => await LoadOneAsync(loader, item, [], stop)));
        }

        await phases.RunAsync("indexes and constraints", async () =>
        {
            await using var archive = await source.OpenAsync(source.Manifest.Single(ObjectRole.PostData), cancel);
            await loader.LoadParallelAsync(archive, views.Selection, Options.Jobs, cancel);
        });
    }

    private async Task LoadOneAsync(ArchiveLoader loader, ObjectRecord item, IReadOnlyList<string> selection, CancellationToken cancel)
    {
        await using var archive = await source.OpenAsync(item, cancel);
        await loader.LoadAsync(archive, selection, mayEndEarly: false, cancel);
    }

    private async Task ConvertAsync(
        ConnectionSettings database, ObjectRecord item, IReadOnlyList<string> selection, SqlScript script, CancellationToken cancel)
    {
        await using var archive = await source.OpenAsync(item, cancel);
        // With one table of an archive pg_restore stops reading behind it; what is fed to it is still read, and so checked, to its end.
        await run.Loader(database).ConvertAsync(archive, selection, script, mayEndEarly: chosen.Count > 0, cancel);
    }

    private async Task<MaterializedViews> ViewsAsync(ObjectRecord item, ConnectionSettings database, CancellationToken cancel)
    {
        if (Options.SchemaOnly || !source.Contents.Tables.Any(static t => t.Kind == RelationKind.MaterializedView))
        {
            return MaterializedViews.None();
        }

        await using var archive = await source.OpenAsync(item, cancel);
        return MaterializedViews.Of((await run.Loader(database).ReadListAsync(archive, [], cancel)).Span, source.Contents.Tables);
    }
}
