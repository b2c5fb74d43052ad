using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>Restores one set into one database and compares what arrived with what was recorded.</summary>
/// <param name="source">The set.</param>
/// <param name="chosen">The tables that were asked for; all of the set when empty.</param>
/// <param name="server">Where to.</param>
/// <param name="run">What the restore works with.</param>
internal sealed class LogicalRestore(SetSource source, IReadOnlyList<TableRecord> chosen, TargetServer server, RestoreContext run)
{
    private readonly PhaseClock _phases = new(run.Time);
    private ComparisonResult? _compared;

    public async Task<RestoreResult> RunAsync(TargetDecision decision, CancellationToken cancel)
    {
        if (run.Options.Globals)
        {
            await _phases.RunAsync("globals", () => GlobalsRestore.RunAsync(source, server, run, cancel));
        }

        // Before anything is made but the globals, and long before anything is dropped.
        if (await ServerNeeds.FindMissingAsync(source, server, run.Options, beforeGlobals: false, cancel) is [var missing, ..])
        {
            throw missing;
        }

        var loader = new SetLoader(source, chosen, run, _phases);
        if (decision.Action == TargetAction.FillExisting)
        {
            return await IntoExistingAsync(loader, cancel);
        }

        var published = await new NewDatabase(server, source.Contents.Database, dropLast: false, run).FillAsync(
            decision,
            async (database, stop) => await loader.LoadAsync(await server.SilenceAsync(database, loading: true, stop), stop),
            CheckAsync,
            cancel);
        return Result(published.Name, published.KeptAs, published.Comparison);
    }

    private async Task<RestoreResult> IntoExistingAsync(SetLoader loader, CancellationToken cancel)
    {
        var database = server.SettingsOf(server.Target);
        run.Log.Information(
            "restoring into the existing database \"{Target}\" in one transaction, one stream after the other",
            server.Target);
        if (run.Options.IsPartial)
        {
            await ExistingTarget.EnsureReadyAsync(database, TableName.Of(Compared()), run.Options.DataOnly, cancel);
        }
        else
        {
            await ExistingTarget.WarnOfPropertiesAsync(server, source.Contents.Database, run.Log, cancel);
        }

        var views = await loader.LoadInTransactionAsync(database, cancel);
        var comparison = await RestoreContext.AfterCommitAsync(
            server.Target, () => _compared?.Differences.Count, () => CheckAsync(views, database, cancel));
        return Result(server.Target, null, comparison) with { IntoExisting = true };
    }

    // What is compared is what was loaded: a refresh runs functions and event triggers, which may change rows.
    private async Task<ComparisonResult> CheckAsync(MaterializedViews views, ConnectionSettings database, CancellationToken cancel)
    {
        var silent = await server.SilenceAsync(database, loading: false, cancel);
        IReadOnlyList<TableDifference> empty = [];
        if (!run.Options.SchemaOnly)
        {
            await _phases.RunAsync(
                "compare", async () => _compared = await RowComparison.RunAsync(silent, Compared(), run.Options.Jobs, cancel));
        }

        if (views.Any)
        {
            await _phases.RunAsync("materialized views", async () => empty = await views.RefreshAsync(silent, run.Log, cancel));
        }

        await _phases.RunAsync("analyze", () => run.TryAnalyzeAsync(silent, cancel));
        var result = _compared ?? ComparisonResult.Nothing;
        return result with { Differences = [.. empty, .. result.Differences] };
    }

    private IReadOnlyList<TableRecord> Compared() => chosen.Count == 0 ? source.Contents.Tables : chosen;

    private RestoreResult Result(string database, string? kept, ComparisonResult comparison) => new(
        source.Manifest.Id,
        database,
        false,
        kept,
        comparison.Tables,
        comparison.Rows,
        comparison.Fingerprints,
        comparison.Differences,
        _phases.Phases);
}
