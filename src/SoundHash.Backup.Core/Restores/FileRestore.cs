using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>Restores a bare file. There is no manifest to compare with, and the result says that nothing was compared.</summary>
internal sealed class FileRestore(BareFile file, TargetServer server, RestoreContext run)
{
    private readonly PhaseClock _phases = new(run.Time);

    public async Task<RestoreResult> RunAsync(TargetDecision decision, CancellationToken cancel)
    {
        if (decision.Action == TargetAction.FillExisting)
        {
            var existing = run.Loader(server.SettingsOf(server.Target));
            await _phases.RunAsync("load", () => LoadInTransactionAsync(existing, cancel));
            _ = await RestoreContext.AfterCommitAsync(
                server.Target, static () => null, () => AnalyzeAsync(server.SettingsOf(server.Target), cancel));
            return Result(server.Target, null) with { IntoExisting = true };
        }

        var published = await new NewDatabase(server, null, dropLast: true, run).FillAsync(
            decision,
            async (database, stop) =>
            {
                await _phases.RunAsync("load", () => LoadAsync(run.Loader(database), stop));
                return true;
            },
            (_, database, stop) => AnalyzeAsync(database, stop),
            cancel);
        return Result(published.Name, published.KeptAs);
    }

    private async Task<ComparisonResult> AnalyzeAsync(ConnectionSettings database, CancellationToken cancel)
    {
        var silent = await server.SilenceAsync(database, loading: false, cancel);
        await _phases.RunAsync("analyze", () => run.TryAnalyzeAsync(silent, cancel));
        return ComparisonResult.Nothing;
    }

    private Task LoadAsync(ArchiveLoader loader, CancellationToken cancel) => file switch
    {
        { Kind: BareFileKind.Script } => RunScriptAsync(loader, transaction: false, cancel),
        { Kind: BareFileKind.Tar, IsPlainOnDisk: true } => loader.LoadFileAsync(file.Path, [], jobs: 1, cancel),
        { IsPlainOnDisk: true } => loader.LoadFileAsync(file.Path, [], run.Options.Jobs, cancel),
        _ => loader.LoadAsync(file.Plain!, [], file.HasUnreadTail, cancel),
    };

    private async Task LoadInTransactionAsync(ArchiveLoader loader, CancellationToken cancel)
    {
        switch (file.Kind)
        {
            case BareFileKind.Script:
                run.Log.Information(
                    "{Path} is SQL: it is run in one transaction, unless it begins and ends transactions itself",
                    file.Path);
                await RunScriptAsync(loader, transaction: true, cancel);
                break;
            case BareFileKind.Directory:
                await loader.LoadFileInTransactionAsync(file.Path, cancel);
                break;
            default:
                await using (var script = loader.StartScript(transaction: true))
                {
                    await loader.ConvertAsync(file.Plain!, [], script, file.HasUnreadTail, cancel);
                    await script.FinishAsync(cancel);
                }

                break;
        }
    }

    private async Task RunScriptAsync(ArchiveLoader loader, bool transaction, CancellationToken cancel)
    {
        await using var script = loader.StartScript(transaction);
        var source = new ScriptEndStage(file.Plain!, file.Path);
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        int read;
        while ((read = await source.ReadAsync(buffer, cancel)) > 0)
        {
            await script.WriteAsync(buffer.AsMemory(0, read), cancel);
            await run.Meter.AddAsync(read, cancel);
        }

        await script.FinishAsync(cancel);
    }

    private RestoreResult Result(string database, string? kept) => new(file.Path, database, false, kept, 0, 0, 0, [], _phases.Phases);
}
