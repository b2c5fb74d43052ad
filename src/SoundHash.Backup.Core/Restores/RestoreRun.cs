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
    ConnectionSettings server, ProcessLauncher launcher, PgToolFinder tools, Func<EncryptionMethod, IEncryptionProvider> providers, TimeProvider time, TransferMeter meter, ILogger log)
{
    /// <summary>Says what a restore would do; changes nothing.</summary>
    public async Task<RestorePlan> PlanAsync(IObjectStore store, Manifest manifest, RestoreOptions options, RestorePace pace, CancellationToken cancel)
    {
        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var exists = await target.ExistsAsync(options.Target, cancel);
        var hasObjects = exists && await target.TargetHasObjectsAsync(cancel);
        var contents = await SetVerifier.ReadContentsAsync(store, manifest, providers, cancel);
        var (seconds, from) = pace.Expect(manifest);
        return new RestorePlan(
            manifest.Id,
            manifest.Database,
            manifest.Tier.ToString().ToLowerInvariant(),
            time.GetUtcNow() - manifest.Started,
            [store.Name],
            options.Target,
            !exists ? "missing" : hasObjects ? "has objects" : "empty",
            Steps(manifest, contents, options, exists, hasObjects).ToList(),
            manifest.Objects.Sum(static o => o.PlainBytes),
            manifest.DatabaseBytes,
            await target.FreeBytesAsync(cancel),
            seconds,
            from);
    }

    /// <summary>Restores a set.</summary>
    /// <param name="store">Where it is.</param>
    /// <param name="manifest">The set.</param>
    /// <param name="options">What and where to.</param>
    /// <param name="confirm">Asked with a question before anything is destroyed; throws or returns false to stop.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It failed, and what it had made is gone again.</exception>
    public async Task<RestoreResult> RunAsync(
        IObjectStore store, Manifest manifest, RestoreOptions options, Func<string, bool> confirm, CancellationToken cancel)
    {
        var contents = await SetVerifier.ReadContentsAsync(store, manifest, providers, cancel);
        var source = new SetSource(store, manifest, contents, providers);
        _ = source.Choose(options.Tables);
        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var chosen = await tools.ForRestoreAsync(manifest.DumpMajor, target.ServerMajor, cancel);
        var state = await TargetState.ReadAsync(target, options, cancel);
        await WarnOfSpaceAsync(target, manifest.DatabaseBytes, cancel);
        if (state.HasObjects && options.Mode != TargetMode.Empty)
        {
            Confirm(confirm, options, $"set {manifest.Id} of {manifest.Started:yyyy-MM-dd HH:mm:ss}Z");
            if (options.Mode == TargetMode.Clean)
            {
                await VerifyDeepAsync(store, manifest, chosen, options.Jobs, cancel);
            }
        }

        return await new LogicalRestore(source, target, launcher, chosen, options, time, meter, log).RunAsync(state, cancel);
    }

    /// <summary>Restores a dump or script that lies somewhere without a manifest.</summary>
    /// <exception cref="BackupException">It failed, and what it had made is gone again.</exception>
    public async Task<RestoreResult> RunFileAsync(string path, RestoreOptions options, Func<string, bool> confirm, CancellationToken cancel)
    {
        if (options.Globals || options.Tables.Count > 0)
        {
            throw new BackupException(ErrorKind.Usage, "--globals and --table need a set; a bare file has no contents to choose from");
        }

        await using var file = await BareFile.OpenAsync(path, providers, cancel);
        if (file.Kind == BareFileKind.Script && options.PgRestoreArguments().Any())
        {
            throw new BackupException(
                ErrorKind.Usage, $"{path} is SQL: {string.Join(", ", options.PgRestoreArguments())} can't be applied to it", "restore it without these options");
        }

        await using var target = await TargetServer.OpenAsync(server, options.Target, log, cancel);
        var chosen = await tools.ForRestoreAsync(file.DumpMajor, target.ServerMajor, cancel);
        var state = await TargetState.ReadAsync(target, options, cancel);
        if (state.HasObjects && options.Mode != TargetMode.Empty)
        {
            Confirm(confirm, options, path);
            if (options.Mode == TargetMode.Clean)
            {
                await file.VerifyAsync(chosen, launcher, meter, providers, cancel);
            }
        }

        return await new FileRestore(file, target, launcher, chosen, options, time, meter, log).RunAsync(state, cancel);
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
        var verifier = new SetVerifier(store, launcher, new TransferMeter(time));
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
            log.Warning("the target's disk has {Free} MiB free, and the database took {Needed} MiB on its server", free >> 20, needed >> 20);
        }
    }

    private static IEnumerable<string> Steps(Manifest manifest, Contents contents, RestoreOptions options, bool exists, bool hasObjects)
    {
        if (hasObjects && options.Mode == TargetMode.Empty && !options.DataOnly && options.Tables.Count == 0)
        {
            yield return $"refuse, since \"{options.Target}\" has objects (--target-db, --swap or --clean)";
            yield break;
        }

        if (options.Globals)
        {
            yield return "make missing roles and tablespaces";
        }

        if (hasObjects && options.Mode == TargetMode.Clean)
        {
            yield return $"verify set {manifest.Id} in depth";
            yield return $"drop database \"{options.Target}\"";
        }

        var split = manifest.Objects.Any(static o => o.Role == ObjectRole.PreData);
        yield return exists && options.Mode == TargetMode.Empty
            ? $"load into the existing database \"{options.Target}\" in one transaction, one stream after the other"
            : $"load into a new database, {(split ? $"{options.Jobs} streams at once" : "one stream")}";
        var judged = contents.Tables.Where(static t => t.IsJudged).ToList();
        yield return options.SchemaOnly
            ? "analyze"
            : $"analyze and compare the rows of {(options.Tables.Count > 0 ? options.Tables.Count : judged.Count)} tables";
        yield return hasObjects && options.Mode == TargetMode.Swap
            ? $"swap names with \"{options.Target}\" and keep the old database"
            : $"the result is \"{options.Target}\"";
    }
}
