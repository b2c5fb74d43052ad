using System.Globalization;
using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Restores physical sets into data directories.</summary>
/// <param name="copies">The sets.</param>
/// <param name="places">Where the sets are, for people.</param>
/// <param name="wal">Where the WAL is.</param>
/// <param name="launcher">Starts programs.</param>
/// <param name="tools">Finds PostgreSQL's.</param>
/// <param name="providers">Makes the provider of an encryption method.</param>
/// <param name="time">The clock.</param>
/// <param name="meter">Counts.</param>
/// <param name="log">For people.</param>
public sealed class PhysicalRestoreRun(
    AllCopies copies,
    string places,
    IObjectStore wal,
    ProcessLauncher launcher,
    PgToolFinder tools,
    Func<EncryptionMethod, IEncryptionProvider> providers,
    TimeProvider time,
    TransferMeter meter,
    ILogger log)
{
    /// <summary>Chooses the set, proves that the target can be reached, and looks at every place that will be written to.</summary>
    /// <exception cref="BackupException">It can't be done; nothing was changed.</exception>
    public async Task<PreparedRestore> PrepareAsync(PhysicalRestoreOptions options, CancellationToken cancel)
    {
        var target = TargetDirectory.Look(options.TargetDirectory, options.Own);
        target.EnsureFree(options.Delta);
        var candidates = SetCandidates.Of(copies.Catalogue, options.SetId, places, warning => log.Warning("{Warning:l}", warning));
        var system = PreparedRestore.SystemOf(candidates[0]);
        var inPlace = target.Content == TargetContent.Filled;
        var mark = inPlace ? OldCluster.EnsureIs(target.Path, system, candidates[0].ServerVersion) : null;
        var oldWal = inPlace ? await OldWal.FindAsync(target.Path, new WalArchive(wal, system), providers, log, cancel) : OldWal.None;
        if (options.Standby is { } primary)
        {
            var isReady = await FindProgramAsync("pg_isready", candidates[0], ofVersion: false, cancel);
            await PrimaryConnection.EnsureReadableAsync(primary, isReady, launcher, log, cancel);
        }

        var (chosen, scan) = await ChooseAsync(candidates, system, options, oldWal, cancel);
        WarnOfDamage(chosen.Set);
        var contents = await SetVerifier.ReadPhysicalContentsAsync(copies.Reader, chosen.Set, providers, cancel);
        ContentPaths.Ensure(chosen.Set.Id, contents, chosen.Set.Single(ObjectRole.Final));
        var tablespaces = TablespacePlan.Make(contents, options.Tablespaces, target.Path, options.Own);
        TablespacePlan.EnsureFree(tablespaces, inPlace ? target.Path : null);
        if (inPlace)
        {
            LivePlaces.EnsureUnused(target.Path, tablespaces);
        }

        await new ReplayedTablespaces(scan, contents, target.Path).EnsureHarmlessAsync(chosen, options.Target, tablespaces, cancel);

        var saved = SavedBefore(mark, target.Path) ?? (oldWal.Files.Count > 0 ? OldWal.SavedFor(target.Path, time.GetUtcNow()) : null);
        var ready = new PreparedRestore(options, chosen, contents, target, tablespaces, oldWal, saved)
        {
            ServerTools = options.Start ? await FindServerAsync(chosen.Set, cancel) : null,
        };
        await EnsureFetchableAsync(ready, cancel);
        WarnOfSpace(ready);
        return ready;
    }

    // What root can read says nothing of the server, which runs restore_command as another user.
    private async Task EnsureFetchableAsync(PreparedRestore ready, CancellationToken cancel)
    {
        var options = ready.Options;
        if (DataOwner.Of(ready.TargetDirectory) is not { } owner)
        {
            return;
        }

        var needs = new ArchivingNeeds(options.Program, options.EnvironmentFile, options.KeyFiles, options.Own.Wal, options.Own.Spool);
        IReadOnlyList<BackupException> problems;
        try
        {
            problems = await new ArchivingAccess(owner.User, owner.Group, launcher).ProblemsOfRecoveryAsync(needs, cancel);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Warning("whether the recovery will be able to fetch WAL can't be told: {Message:l}", e.Message);
            return;
        }

        if (options.Start && problems is [var first, ..])
        {
            throw new BackupException(first.Kind, $"the recovery could not fetch WAL: {first.Message}; nothing was changed", $"{first.Hint}; then restore again", first);
        }

        foreach (var problem in problems)
        {
            log.Warning("the recovery will not be able to fetch WAL: {Message:l}; before the server is started: {Hint:l}", problem.Message, problem.Hint);
        }
    }

    // A file system that compresses may have room for more than it says.
    private void WarnOfSpace(PreparedRestore ready)
    {
        var bytes = ready.Contents.Files.Where(static f => !f.Path.StartsWith("pg_tblspc/", StringComparison.Ordinal)).Sum(static f => f.Size);
        if (!ready.IsInPlace && Physical.TargetDirectory.FreeBytes(ready.TargetDirectory) is var free && free < bytes)
        {
            log.Warning("{Directory:l} has {Free} bytes free, and the set's files are {Bytes} bytes", ready.TargetDirectory, free, bytes);
        }
    }

    // Who owns the data directory could write any path into the mark.
    private string? SavedBefore(RestoreMark? mark, string directory)
    {
        if (mark?.SavedWal is not { } saved || OldWal.IsSavedOf(directory, saved))
        {
            return mark?.SavedWal;
        }

        log.Warning("an earlier restore saved old WAL in {Folder:l}, which is none of {Directory:l}: it is left as it is", saved, directory);
        return null;
    }

    /// <summary>Says what a restore would do.</summary>
    public static PhysicalRestorePlan Plan(PreparedRestore ready, RestorePace pace)
    {
        var (seconds, from) = pace.Expect(ready.Set);
        var span = ready.Chosen.Span;
        return new PhysicalRestorePlan(
            ready.Set.Id,
            ready.Set.Started,
            ready.TargetDirectory,
            ready.Target.State,
            ready.Options.Target.ToString(),
            span.Timeline,
            ready.Chosen.Window,
            PhysicalSteps.Of(ready).ToList(),
            ready.Bytes,
            span.Segments.Count,
            Physical.TargetDirectory.FreeBytes(ready.TargetDirectory),
            seconds,
            from);
    }

    /// <summary>Restores, and starts the server and follows it to its target when that was asked for.</summary>
    /// <param name="ready">What was prepared.</param>
    /// <param name="progress">Told how far the replay of a started server is.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It failed; the message says what is left.</exception>
    public async Task<PhysicalRestoreResult> RunAsync(PreparedRestore ready, Action<ReplayProgress> progress, CancellationToken cancel)
    {
        var (result, outside, owner) = await new DataDirectoryRestore(copies.Reader, providers, ready, time, meter, log).RunAsync(cancel);
        if (!ready.Options.Start)
        {
            return result;
        }

        var server = new RecoveringServer(ready.TargetDirectory, owner, ready.ServerTools!, ready.Options.Port, ready.Options.Role, launcher);
        var clock = new PhaseClock(time);
        ReachedMoment? reached = null;
        await clock.RunAsync(
            "replay", async () => reached = await new RecoveryWatch(ready, server, time, log).RunAsync(outside.Placed, owner, progress, cancel));
        return result with
        {
            Reached = reached,
            NextSteps = PhysicalSteps.Next(ready, outside, isStarted: true),
            Phases = [.. result.Phases, .. clock.Phases],
        };
    }

    private async Task<(ChosenRecovery Chosen, WalScan Scan)> ChooseAsync(
        IReadOnlyList<Manifest> candidates, ulong system, PhysicalRestoreOptions options, OldWal oldWal, CancellationToken cancel)
    {
        var segmentBytes = candidates[0].Physical!.WalSegmentBytes;
        var archived = await RecoverableWal.LoadAsync(
            wal, system, segmentBytes, withPieces: options.Standby is null, oldWal, options.Timeline, providers, cancel);
        // That of another version can't read it.
        var waldump = await FindProgramAsync("pg_waldump", candidates[0], ofVersion: true, cancel);
        var scan = new WalScan(archived.Archive, new WalPieces(wal, system), oldWal, waldump, launcher, providers);
        var chosen = await new RecoveryChoice(archived, scan, time, log).ChooseAsync(
            candidates.Where(c => c.Physical!.WalSegmentBytes == segmentBytes).ToList(),
            options.SetId is not null,
            options.Target,
            options.Timeline,
            cancel);
        return (chosen, scan);
    }

    // One of another version starts on none of its files.
    private async Task<PgTools> FindServerAsync(Manifest set, CancellationToken cancel)
    {
        var major = MajorOf(set);
        var found = await tools.ForServerAsync(major, cancel);
        if (found.Major != major || !File.Exists(Path.Combine(found.Directory, "pg_ctl")))
        {
            throw new BackupException(
                ErrorKind.ToolMissing,
                $"--start needs the server programs of PostgreSQL {major}",
                $"apt-get install postgresql-{major}, or set PG_BIN_DIR to their directory");
        }

        return found;
    }

    private static int MajorOf(Manifest set) => int.Parse(set.ServerVersion.Split('.')[0], CultureInfo.InvariantCulture);

    // What comes with the server need not be installed here.
    private async Task<string?> FindProgramAsync(string program, Manifest set, bool ofVersion, CancellationToken cancel)
    {
        try
        {
            var found = await tools.ForServerAsync(MajorOf(set), cancel);
            return !ofVersion || found.Major == MajorOf(set) ? found.Path(program) : null;
        }
        catch (BackupException e) when (e.Kind == ErrorKind.ToolMissing)
        {
            log.Debug("{Program:l} can't be asked: {Message:l}", program, e.Message);
            return null;
        }
    }

    private void WarnOfDamage(Manifest set)
    {
        if (set.Physical!.DamagedPages.Count is var pages and > 0)
        {
            log.Warning("set {Id} has {Count} damaged pages, as the server had them", set.Id, pages);
        }
    }
}
