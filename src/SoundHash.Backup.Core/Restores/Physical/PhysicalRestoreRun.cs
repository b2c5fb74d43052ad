using System.Globalization;
using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>A physical restore that is ready to begin: everything that can be known before was looked at.</summary>
public sealed class PreparedRestore
{
    internal PreparedRestore(
        PhysicalOptions options, ChosenRecovery chosen, PhysicalContents contents, TargetDirectory target, IReadOnlyList<TablespaceRecord> tablespaces)
    {
        Options = options;
        Chosen = chosen;
        Contents = contents;
        Target = target;
        Tablespaces = tablespaces;
        SystemIdentifier = SystemOf(chosen.Set);
        Spool = WalSpool.Of(options.Own.Spool, SystemIdentifier, target.Path);
        RestoreCommand = WalCommandText.Restore(options.Program, options.EnvironmentFile, Spool.FetchFolder, null);
    }

    /// <summary>The set.</summary>
    public Manifest Set => Chosen.Set;

    /// <summary>The data directory.</summary>
    public string TargetDirectory => Target.Path;

    /// <summary>Bytes that will be read.</summary>
    public long Bytes => Contents.Files.Sum(static f => f.Size);

    internal PhysicalOptions Options { get; }

    internal ChosenRecovery Chosen { get; }

    internal PhysicalContents Contents { get; }

    internal TargetDirectory Target { get; }

    internal IReadOnlyList<TablespaceRecord> Tablespaces { get; }

    internal ulong SystemIdentifier { get; }

    internal WalSpool Spool { get; }

    internal string RestoreCommand { get; }

    internal static ulong SystemOf(Manifest set) =>
        ulong.TryParse(set.SystemIdentifier, NumberStyles.None, CultureInfo.InvariantCulture, out var system)
            ? system
            : throw new BackupException(ErrorKind.Verification, $"set {set.Id} has no system identifier, so that its WAL can't be found");
}

/// <summary>Restores physical sets into data directories.</summary>
/// <param name="store">Where the sets are.</param>
/// <param name="wal">Where the WAL is.</param>
/// <param name="launcher">Starts programs.</param>
/// <param name="tools">Finds PostgreSQL's.</param>
/// <param name="providers">Makes the provider of an encryption method.</param>
/// <param name="time">The clock.</param>
/// <param name="meter">Counts.</param>
/// <param name="log">For people.</param>
public sealed class PhysicalRestoreRun(
    IObjectStore store,
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
    public async Task<PreparedRestore> PrepareAsync(PhysicalOptions options, CancellationToken cancel)
    {
        var target = TargetDirectory.Look(options.TargetDirectory, options.Own);
        target.EnsureFree();
        var catalogue = await Catalogue.LoadAsync(store, cancel);
        var candidates = SetCandidates.Of(catalogue, options.SetId);
        var chosen = await ChooseAsync(candidates, PreparedRestore.SystemOf(candidates[0]), options, cancel);
        WarnOfDamage(chosen.Set);
        var contents = await SetVerifier.ReadPhysicalContentsAsync(store, chosen.Set, providers, cancel);
        ContentPaths.Ensure(chosen.Set.Id, contents, chosen.Set.Single(ObjectRole.Final));
        var tablespaces = TablespacePlan.Make(contents, options.Tablespaces, target.Path, options.Own);
        TablespacePlan.EnsureFree(tablespaces);
        return new PreparedRestore(options, chosen, contents, target, tablespaces);
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

    /// <summary>Restores.</summary>
    /// <exception cref="BackupException">It failed; the message says what is left.</exception>
    public Task<PhysicalRestoreResult> RunAsync(PreparedRestore ready, CancellationToken cancel) =>
        new PhysicalRestore(store, providers, ready, time, meter, log).RunAsync(cancel);

    private async Task<ChosenRecovery> ChooseAsync(
        IReadOnlyList<Manifest> candidates, ulong system, PhysicalOptions options, CancellationToken cancel)
    {
        var segmentBytes = candidates[0].Physical!.WalSegmentBytes;
        var archived = await RecoveryLog.LoadAsync(wal, system, segmentBytes, withPieces: options.Standby is null, providers, cancel);
        var waldump = await FindWaldumpAsync(candidates[0], cancel);
        var scan = new WalScan(archived.Archive, new WalPieces(wal, system), waldump, launcher, providers);
        return await new RecoveryChoice(archived, scan, log).ChooseAsync(
            candidates.Where(c => c.Physical!.WalSegmentBytes == segmentBytes).ToList(),
            options.SetId is not null,
            options.Target,
            options.Timeline,
            cancel);
    }

    // That of another version can't read it. It comes with the server, which need not be installed here.
    private async Task<string?> FindWaldumpAsync(Manifest set, CancellationToken cancel)
    {
        var major = int.Parse(set.ServerVersion.Split('.')[0], CultureInfo.InvariantCulture);
        try
        {
            var found = await tools.ForServerAsync(major, cancel);
            return found.Major == major ? found.Path("pg_waldump") : null;
        }
        catch (BackupException e) when (e.Kind == ErrorKind.ToolMissing)
        {
            log.Debug("WAL can't be looked into: {Message:l}", e.Message);
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
