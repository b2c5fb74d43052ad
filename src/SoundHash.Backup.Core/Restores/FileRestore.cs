using Serilog;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores;

/// <summary>Restores a bare file. There is no manifest to compare with, and the result says that nothing was compared.</summary>
internal sealed class FileRestore(
    BareFile file, TargetServer server, ProcessLauncher launcher, PgTools tools, RestoreOptions options, TimeProvider time, TransferMeter meter, ILogger log)
{
    private readonly PhaseClock _phases = new(time);

    public async Task<RestoreResult> RunAsync(TargetState state, CancellationToken cancel)
    {
        if (state.IntoExisting)
        {
            var existing = Loader(server.SettingsOf(options.Target));
            await _phases.RunAsync("load", () => LoadInTransactionAsync(existing, cancel));
            await _phases.RunAsync("analyze", () => existing.AnalyzeAsync(options.Jobs, cancel));
            return Result(null) with { IntoExisting = true };
        }

        if (state.Exists && options.Mode == TargetMode.Clean)
        {
            log.Information("dropping database \"{Target}\"", options.Target);
            await server.DropAsync(options.Target, cancel);
        }

        await server.CreateWorkingAsync(null, options.NoTablespaces, cancel);
        try
        {
            var loader = Loader(server.SettingsOf(server.WorkingName));
            await _phases.RunAsync("load", () => LoadAsync(loader, cancel));
            await _phases.RunAsync("analyze", () => loader.AnalyzeAsync(options.Jobs, cancel));
            await server.FinishWorkingAsync(null, options.NoOwner, options.NoPrivileges, cancel);
            if (state.Exists && options.Mode == TargetMode.Swap)
            {
                return Result(await server.SwapAsync(time.GetUtcNow(), cancel));
            }

            await server.RenameWorkingAsync(options.Target, cancel);
            return Result(null);
        }
        catch
        {
            await server.DropAsync(server.WorkingName, CancellationToken.None);
            throw;
        }
    }

    private Task LoadAsync(ArchiveLoader loader, CancellationToken cancel) => file switch
    {
        { Kind: BareFileKind.Script } => RunScriptAsync(loader, transaction: false, cancel),
        { Kind: BareFileKind.Directory } or { Kind: BareFileKind.Custom, IsPlainOnDisk: true } => loader.LoadFileAsync(file.Path, options.Jobs, cancel),
        _ => loader.LoadAsync(file.Plain!, [], cancel),
    };

    private async Task LoadInTransactionAsync(ArchiveLoader loader, CancellationToken cancel)
    {
        switch (file.Kind)
        {
            case BareFileKind.Script:
                await RunScriptAsync(loader, transaction: true, cancel);
                break;
            case BareFileKind.Directory:
                await loader.LoadFileInTransactionAsync(file.Path, cancel);
                break;
            default:
                await using (var script = loader.StartScript(transaction: true))
                {
                    await loader.ConvertAsync(file.Plain!, [], script, cancel);
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
            await meter.AddAsync(read, cancel);
        }

        await script.FinishAsync(cancel);
    }

    private ArchiveLoader Loader(ConnectionSettings database) => new(launcher, tools, database, options, meter, log);

    private RestoreResult Result(string? kept) => new(file.Path, options.Target, false, kept, 0, 0, 0, [], _phases.Phases);
}
