using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>Restores a bare file. There is no manifest to compare with, and the result says that nothing was compared.</summary>
/// <param name="file">The file.</param>
/// <param name="parts">What of it is restored.</param>
/// <param name="providers">Opens it again: each table is taken out of it by itself.</param>
/// <param name="server">Where to.</param>
/// <param name="run">What the restore works with.</param>
internal sealed class FileRestore(
    BareFile file, FileParts parts, Func<EncryptionMethod, IEncryptionProvider> providers, TargetServer server, RestoreContext run)
{
    private readonly PhaseClock _phases = new(run.Time);

    /// <summary>
    /// How many processes load a file into a new database. Several need a path, and what pg_restore reads by itself no limit holds
    /// back: with one, all comes through our hands where it can.
    /// </summary>
    public static int Streams(BareFile file, RestoreOptions options, TransferMeter meter) => file switch
    {
        _ when options.Tables.Count > 0 => 1,
        { Kind: BareFileKind.Directory } => options.Jobs,
        { Kind: BareFileKind.Custom, IsPlainOnDisk: true } when !meter.IsLimited => options.Jobs,
        _ => 1,
    };

    public async Task<RestoreResult> RunAsync(TargetDecision decision, CancellationToken cancel)
    {
        if (run.Meter.IsLimited && file.Kind == BareFileKind.Directory)
        {
            run.Log.Warning("BACKUP_RATE_LIMIT does not hold for {Path}: pg_restore reads a directory by itself", file.Path);
        }

        if (decision.Action == TargetAction.FillExisting)
        {
            var existing = server.SettingsOf(server.Target);
            if (run.Options.IsPartial)
            {
                await ExistingTarget.EnsureReadyAsync(existing, parts.Filled, run.Options.DataOnly, cancel);
            }

            await _phases.RunAsync("load", () => LoadInTransactionAsync(existing, cancel));
            _ = await RestoreContext.AfterCommitAsync(server.Target, static () => null, () => AnalyzeAsync(existing, cancel));
            return Result(server.Target, null) with { IntoExisting = true };
        }

        var published = await new NewDatabase(server, null, dropLast: true, run).FillAsync(
            decision,
            async (database, stop) =>
            {
                await _phases.RunAsync("load", () => LoadAsync(database, stop));
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

    private async Task LoadAsync(ConnectionSettings database, CancellationToken cancel)
    {
        var loader = run.Loader(database);
        if (file.IsScript)
        {
            await RunScriptAsync(loader, transaction: false, cancel);
        }
        else if (parts.Chosen.Count > 0)
        {
            await LoadInTransactionAsync(database, cancel);
        }
        else if (file.Kind == BareFileKind.Directory || Streams(file, run.Options, run.Meter) > 1)
        {
            await loader.LoadFileAsync(file.Path, [], run.Options.Jobs, cancel);
        }
        else
        {
            await loader.LoadAsync(file.Plain!, [], file.HasUnreadTail, cancel);
        }
    }

    private async Task LoadInTransactionAsync(ConnectionSettings database, CancellationToken cancel)
    {
        var loader = run.Loader(database);
        if (file.IsScript)
        {
            run.Log.Information(
                "{Path} is SQL: it is run in one transaction, unless it begins and ends transactions itself",
                file.Path);
            await RunScriptAsync(loader, transaction: true, cancel);
            return;
        }

        await using var script = loader.StartScript(transaction: true);
        var guards = run.Options.DataOnly
            ? await LoadGuards.ReadAsync(database, parts.Filled, sequences: parts.Chosen.Count == 0, run.Log, cancel)
            : LoadGuards.None;
        await script.WriteAsync(guards.Before, cancel);
        if (parts.Chosen.Count == 0)
        {
            await ConvertAsync(loader, script, cancel);
        }
        else
        {
            await ConvertTablesAsync(loader, database, script, cancel);
        }

        await script.WriteAsync(guards.After, cancel);
        await script.FinishAsync(cancel);
        run.WarnOfLeftOut(parts.HasViews, singleTables: parts.Chosen.Count > 0);
    }

    private Task ConvertAsync(ArchiveLoader loader, SqlScript script, CancellationToken cancel) => file.Kind == BareFileKind.Directory
        ? loader.ConvertFileAsync(file.Path, [], script, cancel)
        : loader.ConvertAsync(file.Plain!, [], script, file.HasUnreadTail, cancel);

    private async Task ConvertTablesAsync(ArchiveLoader loader, ConnectionSettings database, SqlScript script, CancellationToken cancel)
    {
        if (!run.Options.DataOnly)
        {
            await script.WriteAsync(await ExistingTarget.MakeSchemasAsync(database, parts.Chosen, cancel), cancel);
        }

        foreach (var table in parts.Chosen)
        {
            // By itself pg_restore seeks to the table; what is fed to it is read to its end.
            if (file.Kind == BareFileKind.Directory || (file.IsPlainOnDisk && !run.Meter.IsLimited))
            {
                await loader.ConvertFileAsync(file.Path, table.Selection, script, cancel);
                continue;
            }

            await using var again = await BareFile.OpenAsync(file.Path, providers, cancel);
            await loader.ConvertAsync(again.Plain!, table.Selection, script, mayEndEarly: true, cancel);
        }

        // pg_restore that finds nothing to restore says nothing and succeeds.
        await script.WriteAsync(LoadGuards.InUtf8, cancel);
        foreach (var table in parts.Chosen)
        {
            await script.WriteAsync($"DO {SqlText.Literal($"BEGIN PERFORM {SqlText.Literal(table.Sql)}::pg_catalog.regclass; END")};\n", cancel);
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
