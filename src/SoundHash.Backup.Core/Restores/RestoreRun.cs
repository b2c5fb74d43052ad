using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
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
        BackupException?[] others = [await FindToolProblemAsync(manifest, target, cancel), decision.Refusal];
        IReadOnlyList<BackupException> refusals = [.. others.OfType<BackupException>(), .. missing];
        var (seconds, from) = pace.Expect(manifest);
        return new RestorePlan(
            manifest.Id,
            manifest.Database,
            manifest.Tier.Word(),
            time.GetUtcNow() - manifest.Started,
            [store.Name],
            options.Target,
            decision.State switch { TargetState.Missing => "missing", TargetState.Empty => "empty", TargetState.Template => "template", _ => "has objects" },
            refusals.Count > 0
                ? refusals.Select(static r => $"refuse: {r.Message}").ToList()
                : RestoreSteps.Of(source, source.Choose(options.Tables), decision, options).ToList(),
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
        if (options.Globals || options.IsPartial)
        {
            throw new BackupException(
                ErrorKind.Usage,
                "--globals, --table and --data-only need a set; of a bare file nothing is known that could be chosen or checked",
                "restore the file beside (--target-db NAME) and take from there what you need");
        }

        await using var file = await BareFile.OpenAsync(path, providers, cancel);
        if (file.Kind == BareFileKind.Script && options.PgRestoreArguments().Any())
        {
            throw new BackupException(
                ErrorKind.Usage,
                $"{path} is SQL: {string.Join(", ", options.PgRestoreArguments())} can't be applied to it",
                "restore it without these options");
        }

        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var run = await ContextAsync(file.DumpMajor, file.Kind != BareFileKind.Script, target, options, cancel);
        var decision = await TargetDecision.MakeAsync(target, options, cancel);
        await AgreeAsync(decision, options, path, confirm, () => file.VerifyAsync(run.Tools, launcher, meter, providers, cancel));
        return await new FileRestore(file, target, run).RunAsync(decision, cancel);
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
        return new RestoreContext(launcher, chosen, options, time, meter, log);
    }

    private async Task<BackupException?> FindToolProblemAsync(Manifest manifest, TargetServer target, CancellationToken cancel)
    {
        try
        {
            _ = await ServerNeeds.ToolsAsync(tools, manifest.DumpMajor, target.ServerMajor, isArchive: true, cancel);
            return null;
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            return e;
        }
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
