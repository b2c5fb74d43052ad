using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Restores;

/// <summary>Restores sets and bare files into databases of a server.</summary>
public sealed class RestoreRun(
    ConnectionSettings server,
    ProcessLauncher launcher,
    PgToolFinder tools,
    Func<EncryptionMethod,
    IEncryptionProvider> providers,
    TimeProvider time,
    TransferMeter meter,
    ILogger log)
{
    private long _verifying;

    /// <summary>Bytes that are read beside those that are loaded: of sets that are verified before a database is dropped.</summary>
    public long VerifyingBytes => Interlocked.Read(ref _verifying);

    /// <summary>Says what a restore would do; changes nothing.</summary>
    public async Task<RestorePlan> PlanAsync(
        IObjectStore store,
        Manifest manifest,
        RestoreOptions options,
        RestorePace pace,
        CancellationToken cancel)
    {
        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var decision = await DecideAsync(manifest, target, options, cancel);
        var source = new SetSource(store, manifest, await SetVerifier.ReadContentsAsync(store, manifest, providers, cancel), providers);
        var missing = await ServerNeeds.FindMissingAsync(source, target, options, options.Globals, cancel);
        var tables = source.Choose(options.Tables);
        var filled = TableName.Of(tables.Count > 0 ? tables : source.Contents.Tables);
        BackupException?[] others =
        [
            (await FindToolsAsync(manifest.DumpMajor, isArchive: true, target, options, cancel)).Problem,
            decision.Refusal,
            await TryAsync(() => EnsureReadyAsync(filled, target, decision, options, cancel), cancel),
        ];
        IReadOnlyList<BackupException> refusals = [.. others.OfType<BackupException>(), .. missing];
        var (seconds, from) = pace.Expect(manifest);
        return new RestorePlan(
            manifest.Id,
            manifest.Database,
            manifest.Tier.Word(),
            time.GetUtcNow() - manifest.Started,
            [store.Name],
            options.Target,
            decision.StateInWords,
            Steps(refusals, () => RestoreSteps.Of(source, tables, decision, options)),
            manifest.PlainBytes,
            manifest.DatabaseBytes,
            await target.FreeBytesAsync(cancel),
            seconds,
            from,
            refusals);
    }

    /// <summary>Restores a set.</summary>
    /// <param name="store">Where it is.</param>
    /// <param name="manifest">The set.</param>
    /// <param name="options">What and where to.</param>
    /// <param name="confirm">Asked with a question before anything is destroyed; throws or returns false to stop.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It failed; the message names what is left, if anything.</exception>
    public async Task<RestoreResult> RunAsync(
        IObjectStore store, Manifest manifest, RestoreOptions options, Func<string, bool> confirm, CancellationToken cancel)
    {
        var contents = await SetVerifier.ReadContentsAsync(store, manifest, providers, cancel);
        var source = new SetSource(store, manifest, contents, providers);
        var tables = source.Choose(options.Tables);
        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var run = await ContextAsync(manifest.DumpMajor, isArchive: true, target, options, cancel);
        await WarnOfSpaceAsync(target, manifest.DatabaseBytes, cancel);
        var decision = await DecideAsync(manifest, target, options, cancel);
        await AgreeAsync(
            decision,
            options,
            $"set {manifest.Id} of {manifest.Started:yyyy-MM-dd HH:mm:ss}Z",
            confirm,
            () => VerifyDeepAsync(store, manifest, run.Tools, options.Jobs, cancel));
        return await new LogicalRestore(source, tables, target, run).RunAsync(decision, cancel);
    }

    /// <summary>Restores a dump or script that lies somewhere without a manifest.</summary>
    /// <exception cref="BackupException">It failed; the message names what is left, if anything.</exception>
    public async Task<RestoreResult> RunFileAsync(string path, RestoreOptions options, Func<string, bool> confirm, CancellationToken cancel)
    {
        await using var file = await OpenFileAsync(path, options, cancel);
        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var run = await ContextAsync(file.DumpMajor, !file.IsScript, target, options, cancel);
        var decision = await TargetDecision.MakeAsync(target, options, cancel);
        await AgreeAsync(decision, options, path, confirm, () => file.VerifyAsync(run.Tools, launcher, meter, providers, cancel));
        var parts = options.IsPartial ? await FindPartsAsync(file, target, run, cancel) : FileParts.All;
        return await new FileRestore(file, parts, providers, target, run).RunAsync(decision, cancel);
    }

    /// <summary>
    /// Says what a restore of a bare file would do; changes nothing. Of an archive the list is read, of a script all: only so is it
    /// known whether it would be refused.
    /// </summary>
    /// <exception cref="BackupException">The file is no dump, or can't be read.</exception>
    public async Task<FilePlan> PlanFileAsync(string path, RestoreOptions options, CancellationToken cancel)
    {
        await using var file = await OpenFileAsync(path, options, cancel);
        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var decision = await TargetDecision.MakeAsync(target, options, cancel);
        var (run, problem) = await FindToolsAsync(file.DumpMajor, !file.IsScript, target, options, cancel);
        ArchiveList? list = null;
        BackupException? notReady = null;
        if (file.IsScript)
        {
            await file.CheckScriptAsync(meter, cancel);
        }
        else if (run is not null)
        {
            list = await file.ListAsync(run.Loader(target.MaintenanceSettings), [], providers, cancel);
            notReady = decision.Refusal is not null || !options.IsPartial ? null : await TryAsync(
                async () => await EnsureReadyAsync((await FindPartsAsync(file, target, run, cancel)).Filled, target, decision, options, cancel),
                cancel);
        }

        BackupException?[] found = [problem, decision.Refusal, notReady];
        var refusals = found.OfType<BackupException>().ToList();
        return new FilePlan(
            file.Path,
            file.Kind.Word(),
            file.Encryption.Word(),
            file.Compression.Word(),
            file.StoredBytes(),
            list?.Database,
            list?.ServerVersion,
            list?.DumpVersion,
            list?.Dumped,
            options.Target,
            decision.StateInWords,
            Steps(refusals, () => RestoreSteps.OfFile(file, FileRestore.Streams(file, options, meter), decision, options)),
            await target.FreeBytesAsync(cancel),
            refusals);
    }

    private static List<string> Steps(IReadOnlyList<BackupException> refusals, Func<IEnumerable<string>> steps) =>
        (refusals.Count > 0 ? refusals.Select(static r => $"refuse: {r.Message}") : steps()).ToList();

    private async Task<BareFile> OpenFileAsync(string path, RestoreOptions options, CancellationToken cancel)
    {
        if (options.Globals)
        {
            throw new BackupException(
                ErrorKind.Usage, "--globals needs a set: a bare file has no roles and tablespaces", "make them by hand, or add --no-owner");
        }

        var file = await BareFile.OpenAsync(path, providers, cancel);
        IReadOnlyList<string> wishes = [.. options.PgRestoreArguments(), .. options.Tables.Select(static _ => "--table").Distinct()];
        if (file.IsScript && wishes.Count > 0)
        {
            await file.DisposeAsync();
            throw new BackupException(
                ErrorKind.Usage, $"{path} is SQL: {string.Join(", ", wishes)} can't be applied to it", "restore it without these options");
        }

        return file;
    }

    private Task<FileParts> FindPartsAsync(BareFile file, TargetServer target, RestoreContext run, CancellationToken cancel) => FileParts.FindAsync(
        selection => file.ListAsync(run.Loader(target.MaintenanceSettings), selection, providers, cancel),
        file.Path,
        run.Options,
        target.SettingsOf(target.Target),
        cancel);

    // What goes into, or beside, tables that are there.
    private static async Task EnsureReadyAsync(
        IReadOnlyList<TableName> filled, TargetServer target, TargetDecision decision, RestoreOptions options, CancellationToken cancel)
    {
        if (decision is not { Action: TargetAction.FillExisting, Refusal: null } || !options.IsPartial)
        {
            return;
        }

        var database = target.SettingsOf(target.Target);
        await ExistingTarget.EnsureReadyAsync(database, filled, options.DataOnly, cancel);
        if (options.DataOnly)
        {
            // For its refusals.
            _ = await LoadGuards.ReadAsync(database, filled, sequences: true, Serilog.Core.Logger.None, cancel);
        }
    }

    private static async Task<BackupException?> TryAsync(Func<Task> look, CancellationToken cancel)
    {
        try
        {
            await look();
            return null;
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            return e;
        }
    }

    private static async Task<TargetDecision> DecideAsync(
        Manifest manifest, TargetServer target, RestoreOptions options, CancellationToken cancel)
    {
        var decision = await TargetDecision.MakeAsync(target, options, cancel);
        return decision with { Refusal = decision.Refusal ?? ServerNeeds.FindDowngrade(manifest, target, decision) };
    }

    private static async Task AgreeAsync(
        TargetDecision decision, RestoreOptions options, string from, Func<string, bool> confirm, Func<Task> verify)
    {
        if (decision.Refusal is { } refusal)
        {
            throw refusal;
        }

        if (decision.NeedsConsent)
        {
            Confirm(confirm, options, from);
            if (decision.Action == TargetAction.DropFirst)
            {
                await verify();
            }
        }
    }

    private async Task<RestoreContext> ContextAsync(
        int dumpMajor, bool isArchive, TargetServer target, RestoreOptions options, CancellationToken cancel)
    {
        var chosen = await ServerNeeds.ToolsAsync(tools, dumpMajor, target.ServerMajor, isArchive, cancel);
        return new RestoreContext(launcher, chosen, target.ServerMajor, options, time, meter, log);
    }

    private async Task<(RestoreContext? Run, BackupException? Problem)> FindToolsAsync(
        int dumpMajor, bool isArchive, TargetServer target, RestoreOptions options, CancellationToken cancel)
    {
        RestoreContext? run = null;
        var problem = await TryAsync(async () => run = await ContextAsync(dumpMajor, isArchive, target, options, cancel), cancel);
        return (run, problem);
    }

    private static void Confirm(Func<string, bool> confirm, RestoreOptions options, string from)
    {
        var question = options.Mode == TargetMode.Clean
            ? $"Database \"{options.Target}\" has objects. Drop it and restore {from}?"
            : $"Database \"{options.Target}\" has objects. Put {from} in its place, end its connections and keep it under another name?";
        if (!confirm(question))
        {
            throw new BackupException(ErrorKind.Cancelled, "not confirmed; nothing was changed");
        }
    }

    private async Task VerifyDeepAsync(IObjectStore store, Manifest manifest, PgTools chosen, int jobs, CancellationToken cancel)
    {
        log.Information("verifying set {Id} before the database is dropped", manifest.Id);
        Interlocked.Add(ref _verifying, manifest.PlainBytes);
        var verifier = new SetVerifier(store, launcher, meter);
        var result = await verifier.VerifyDeepAsync(manifest, chosen, providers, jobs, cancel);
        if (result.Problems.Count > 0)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"set {manifest.Id} is not good, so that nothing was dropped: {string.Join("; ", result.Problems)}",
                "choose another set: shbackup backup list");
        }

        // Another copy took over, and would again; but nothing is dropped for a set that has shown damage.
        if (store is JoinedReader { HasGoneOver: true })
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"a copy of set {manifest.Id} is damaged, so that nothing was dropped",
                "shbackup backup verify --all tells which copy is good; run this again with --from STORE");
        }
    }

    private async Task WarnOfSpaceAsync(TargetServer target, long needed, CancellationToken cancel)
    {
        if (await target.FreeBytesAsync(cancel) is { } free && free < needed)
        {
            log.Warning(
                "the target's disk has {Free} MiB free, and the database took {Needed} MiB on its server",
                free >> 20,
                needed >> 20);
        }
    }
}
