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

namespace SoundHash.Backup.Wal;

/// <summary>What a clean-up did, or would do, to the WAL of one cluster.</summary>
/// <param name="SystemIdentifier">The cluster.</param>
/// <param name="Decisions">One for each file, in order.</param>
/// <param name="Problem">Why nothing can be removed though there is something old; else null.</param>
public sealed record WalCleanupResult(ulong SystemIdentifier, IReadOnlyList<WalDecision> Decisions, BackupException? Problem);

/// <summary>Removes WAL that no recovery needs any more, as <see cref="WalRetention"/> decides.</summary>
/// <param name="sets">The stores of the sets, the nearest first: what any of them holds keeps its WAL.</param>
/// <param name="store">The store of the WAL archive.</param>
/// <param name="launcher">For reading the sets back in whose stead older ones lose their log.</param>
/// <param name="meter">Measures that.</param>
/// <param name="providers">Makes the provider of a method: histories may be encrypted.</param>
/// <param name="jobs">Objects to read at once.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Says what is done.</param>
public sealed class WalCleanup(
    IReadOnlyList<IObjectStore> sets,
    IObjectStore store,
    ProcessLauncher launcher,
    TransferMeter meter,
    Func<EncryptionMethod, IEncryptionProvider> providers,
    int jobs,
    TimeProvider time,
    ILogger log)
{
    private static readonly TimeSpan AbandonedAge = TimeSpan.FromDays(1);

    /// <summary>Cleans the archives of all clusters.</summary>
    /// <param name="days">Length of the recovery window.</param>
    /// <param name="held">The lock of this verb.</param>
    /// <param name="dryRun">Only says what it would do.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">What is needed can't be told, so that nothing was removed.</exception>
    public async Task<IReadOnlyList<WalCleanupResult>> RunAsync(int days, RunLock held, bool dryRun, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        var retentionStart = now - TimeSpan.FromDays(days);
        var results = new List<WalCleanupResult>();
        foreach (var system in await WalArchive.SystemsAsync(store, cancel))
        {
            if (!dryRun)
            {
                await StoreClock.CompareAsync(store, $"{WalLayout.SystemFolder(system)}/.clock-probe", now, cancel);
            }

            var (wal, plan) = await PlanAsync(system, retentionStart, now, held, cancel);
            var locked = new Dictionary<WalFileName, string>();
            if (!dryRun)
            {
                locked = await RemoveAsync(wal, plan, cancel);
            }
            else
            {
                foreach (var pieces in plan.Pieces.Where(static p => p.Removes))
                {
                    log.Information("would remove the pieces of {Name:l}: {Reason:l}", pieces.Entry.Name.Name, pieces.Reason);
                }
            }

            var decisions = plan.Decisions.Select(d => locked.TryGetValue(d.Entry.Name, out var words) ? d with { Removes = false, Reason = words } : d).ToList();
            results.Add(new WalCleanupResult(system, decisions, ProblemOf(wal, plan, retentionStart)));
        }

        return results;
    }

    // Reading a set back may take hours: what is needed is decided anew after it.
    private async Task<(LoadedWal Wal, WalRetentionPlan Plan)> PlanAsync(
        ulong system, DateTimeOffset retentionStart, DateTimeOffset now, RunLock held, CancellationToken cancel)
    {
        var checks = new Dictionary<string, VerificationResult>();
        while (true)
        {
            var copies = await AllCopies.LoadAsync(sets, log, cancel);
            var catalogue = copies.Catalogue;
            EnsureReadable(copies);
            await EnsureMadeAsync(copies, cancel);
            StoreClock.EnsureNoFuture(catalogue, now);
            var writingFrom = await WritingFromAsync(copies, cancel);
            var (own, segmentBytes) = LoadedWal.SetsOf(catalogue, system);
            var wal = await LoadedWal.LoadAsync(store, system, segmentBytes, providers, cancel);
            EnsureRemovalsKnown(wal);
            var candidates = own.Select(s => ToWalSet(s, wal.Index, checks, held)).ToList();
            var pieces = await new WalPieces(store, system).SegmentsAsync(cancel);
            var plan = WalRetention.Decide(wal.Index, candidates, retentionStart, writingFrom, pieces);
            if (plan.RemovesNothing || plan.Anchors.FirstOrDefault(a => !checks.ContainsKey(a.Id)) is not { } anchor)
            {
                return (wal, plan);
            }

            log.Information("verifying set {Id} ({MiB} MiB), from which recovery is to begin", anchor.Id, anchor.StoredBytes >> 20);
            checks[anchor.Id] = await new SetVerifier(copies.Reader, launcher, meter).VerifyStoredAsync(anchor, jobs, cancel);
            foreach (var finding in checks[anchor.Id].Findings)
            {
                log.Warning("{Message:l}", finding.Message);
            }

            EnsureTold(checks[anchor.Id]);
        }
    }

    private static WalSet ToWalSet(
        CatalogueEntry set, WalIndex index, Dictionary<string, VerificationResult> checks, RunLock held)
    {
        var manifest = set.Manifest!;
        var isWhole = checks.TryGetValue(set.Id, out var check) ? check.Findings.Count == 0 : set.IsComplete;
        var isGood = isWhole && manifest.Physical!.DamagedPages.Count == 0 && index.FirstMissingFor(manifest.Physical) is null;
        using var alone = SetUse.TryExclude(held.StateDirectory, set.Id);
        return new WalSet(manifest, isGood, alone is null);
    }

    // A store that did not answer tells nothing of a set: to take it for a damaged one would end in "there is no good base backup".
    private static void EnsureTold(VerificationResult check)
    {
        if (check.Findings.Count > 0 && check.Findings.All(static f => f.Kind == ErrorKind.Storage))
        {
            throw new BackupException(
                ErrorKind.Storage, $"what WAL is needed can't be told, so that nothing is removed: {check.Findings[0].Message}", check.Findings[0].Hint);
        }
    }

    private static void EnsureReadable(AllCopies copies)
    {
        if (copies.Problems.Count > 0)
        {
            throw new BackupException(
                copies.Problems[0].Kind,
                $"what WAL is needed can't be told, so that nothing is removed: {copies.Problems[0].Message}",
                copies.Problems[0].Hint);
        }

        var catalogue = copies.Catalogue;
        if (catalogue.Sets.FirstOrDefault(static s => s.Manifest is null) is { } broken)
        {
            throw new BackupException(
                broken.Problem!.Kind,
                $"what WAL is needed can't be told, so that nothing is removed: {broken.Problem.Message}",
                broken.Problem.Hint);
        }

        if (catalogue.Leftovers.FirstOrDefault(static l => l.Keys.Contains(RepositoryLayout.InSet(l.Id, RepositoryLayout.KeepFile))) is { } pinned)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"what WAL is needed can't be told, so that nothing is removed: set {pinned.Id} is pinned and has no manifest",
                $"restore its manifest from another copy, or move the folder sets/{pinned.Id} out of the repository");
        }
    }

    // Of several stores, one that was never backed up to may be a disk that is not mounted: what its sets need is not known then.
    private static async Task EnsureMadeAsync(AllCopies copies, CancellationToken cancel)
    {
        foreach (var store in copies.Views.Select(static v => v.Store).Where(_ => copies.Views.Count > 1))
        {
            if (await store.StatAsync(RepositoryLayout.RepositoryFile, cancel) is null)
            {
                throw new BackupException(
                    ErrorKind.Storage,
                    $"what WAL is needed can't be told, so that nothing is removed: store {store.Name} has no {RepositoryLayout.RepositoryFile}, so that its sets may be elsewhere",
                    "see whether its disk is mounted; a new store gets that file with its first backup");
            }
        }
    }

    private static void EnsureRemovalsKnown(LoadedWal wal)
    {
        if (wal.RemovalsProblem is { } problem)
        {
            throw problem;
        }
    }

    /// <summary>What sets that are being written need: null for nothing, and the beginning of the log where they do not say.</summary>
    private async Task<Lsn?> WritingFromAsync(AllCopies copies, CancellationToken cancel)
    {
        Lsn? from = null;
        foreach (var (store, leftover) in copies.Views.SelectMany(static v => v.Catalogue!.Leftovers.Select(l => (v.Store, l))))
        {
            var key = RepositoryLayout.InSet(leftover.Id, RepositoryLayout.IntentFile);
            if (!leftover.Keys.Contains(key))
            {
                continue;
            }

            var needs = await NeedsOfAsync(store, key, cancel);
            if (needs is { } position && (from is null || position < from))
            {
                from = position;
            }
        }

        return from;
    }

    private async Task<Lsn?> NeedsOfAsync(IObjectStore holder, string intentKey, CancellationToken cancel)
    {
        try
        {
            var intent = await holder.ReadJsonAsync(intentKey, RepositoryJson.Default.IntentRecord, cancel);
            return intent?.WalFrom switch
            {
                IntentRecord.NoWal => null,
                _ => Lsn.TryParse(intent?.WalFrom, out var from) ? from : default(Lsn),
            };
        }
        catch (BackupException e) when (e.Kind == ErrorKind.Verification)
        {
            log.Warning("{Message:l}", e.Message);
            return default(Lsn);
        }
    }

    // Returns what the store keeps locked, and where and until when in words: that stays.
    private async Task<Dictionary<WalFileName, string>> RemoveAsync(LoadedWal wal, WalRetentionPlan plan, CancellationToken cancel)
    {
        var locked = new Dictionary<WalFileName, string>();
        var removed = WalRemovals.Merge(wal.Index, plan);
        if (plan.Removals.Count > 0)
        {
            await wal.Archive.WriteRemovedAsync(removed, cancel);
        }

        foreach (var entry in plan.Removals)
        {
            cancel.ThrowIfCancellationRequested();
            try
            {
                await wal.Archive.DeleteAsync(entry.Name, CancellationToken.None);
                log.Debug("removed {Name}", entry.Name.Name);
            }
            catch (ObjectLockedException e)
            {
                locked[entry.Name] = e.Words;
            }
        }

        foreach (var pieces in plan.Pieces.Where(static p => p.Removes))
        {
            cancel.ThrowIfCancellationRequested();
            await new WalPieces(store, wal.Archive.SystemIdentifier).DeleteAsync(pieces.Entry.Name, CancellationToken.None);
            log.Information("removed the pieces of {Name:l}: {Reason:l}", pieces.Entry.Name.Name, pieces.Reason);
        }

        var folder = $"{WalLayout.SystemFolder(wal.Archive.SystemIdentifier)}/";
        var abandoned = time.GetUtcNow() - AbandonedAge;
        await WalRemovals.RemoveLoneSumsAsync(store, folder, removed, abandoned, cancel);
        await store.RemoveAbandonedWritesAsync(folder, abandoned, cancel);
        return locked;
    }

    private static BackupException? ProblemOf(LoadedWal wal, WalRetentionPlan plan, DateTimeOffset retentionStart)
    {
        return !plan.HasGoodSet && plan.Decisions.Any(d => d.Entry.Stored < retentionStart)
            ? new BackupException(
                ErrorKind.Verification,
                $"system identifier {wal.Archive.SystemIdentifier} has no good base backup: its WAL is all kept",
                "check BACKUP_DIR; take a physical backup (shbackup backup --kind physical), or when that cluster is gone for good, remove "
                + $"the folder {wal.Archive.SystemIdentifier} of the archive by hand")
            : null;
    }
}
