using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Carries out what <see cref="RetentionPolicy"/> decides on one store.</summary>
/// <param name="store">The store.</param>
/// <param name="verifier">Reads the sets back that others are removed for.</param>
/// <param name="jobs">How many objects it reads at once.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Says what is done.</param>
/// <param name="wal">Says whether base backups have the log that they need.</param>
public sealed class Expiry(
    IObjectStore store, SetVerifier verifier, int jobs, TimeProvider time, ILogger log, ConsistencyCheck? wal = null)
{
    private const string ClockProbe = "sets/.clock-probe";

    /// <summary>
    /// Removes what has expired, then leftovers of killed runs; with a dry run only says what it would do. Before anything
    /// of a database is removed, the set that is to stay as its newest good one is read back: when it is not as it was
    /// written, the next older one takes its place.
    /// </summary>
    /// <exception cref="BackupException">The clocks differ too much to judge ages.</exception>
    public async Task<IReadOnlyList<RetentionDecision>> RunAsync(RetentionDays days, RunLock held, bool dryRun, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        if (dryRun)
        {
            log.Debug("the clock of store {Store} is not compared with this machine's, since that would write to it", store.Name);
        }
        else
        {
            await StoreClock.CompareAsync(store, ClockProbe, now, cancel);
        }

        var catalogue = await Catalogue.LoadAsync(store, cancel);
        StoreClock.EnsureNoFuture(catalogue, now);
        var done = new List<RetentionDecision>();
        foreach (var decision in await DecideAsync(catalogue, days, now, cancel))
        {
            done.Add(decision.Expires && !dryRun ? await TryRemoveAsync(decision, held, cancel) : decision);
        }

        await new RepositoryGuard(store, time, log).RemoveLeftoversAsync(catalogue, held, dryRun, cancel);
        return done;
    }

    private async Task<IReadOnlyList<RetentionDecision>> DecideAsync(
        Catalogue catalogue, RetentionDays days, DateTimeOffset now, CancellationToken cancel)
    {
        var checks = new Dictionary<string, VerificationResult>();
        var lacking = wal is null ? null : await wal.LackingAsync(catalogue, cancel);
        while (true)
        {
            var decisions = RetentionPolicy.Decide(catalogue, days, now, checks, lacking);
            if (NextToVerify(decisions, checks) is not { } manifest)
            {
                return decisions;
            }

            log.Information("reading set {Id} ({MiB} MiB) back before older sets are removed", manifest.Id, manifest.StoredBytes >> 20);
            var check = await verifier.VerifyStoredAsync(manifest, jobs, cancel);
            checks[manifest.Id] = check with { Findings = [.. check.Findings, .. await WalDamageAsync(manifest, cancel)] };
        }
    }

    // Where nothing but a key could tell, the machine that has none still expires.
    private async Task<IEnumerable<BackupException>> WalDamageAsync(Manifest manifest, CancellationToken cancel)
    {
        var found = wal is null ? [] : await wal.DamageAsync(manifest, null, cancel);
        foreach (var unknown in found.Where(static f => f.Kind == ErrorKind.Encryption))
        {
            log.Warning("{Message:l}", unknown.Message);
        }

        return found.Where(static f => f.Kind != ErrorKind.Encryption);
    }

    // A set that stays in the stead of others of its group, as long as it is good by its sizes alone.
    private static Manifest? NextToVerify(IReadOnlyList<RetentionDecision> decisions, Dictionary<string, VerificationResult> checks)
    {
        var losing = decisions.Where(static d => d.Expires).Select(static d => RetentionPolicy.GroupOf(d.Set)).ToHashSet();
        return decisions.Where(d => d.IsNeeded && !checks.ContainsKey(d.Set.Id))
            .FirstOrDefault(d => losing.Contains(RetentionPolicy.GroupOf(d.Set)))?.Set.Manifest;
    }

    private async Task<RetentionDecision> TryRemoveAsync(RetentionDecision decision, RunLock held, CancellationToken cancel)
    {
        SetUse? alone;
        try
        {
            alone = SetUse.TryExclude(held.StateDirectory, decision.Set.Id);
        }
        catch (StorageException e)
        {
            // One file that another user left must not keep all other sets.
            return decision with { Expires = false, Reason = "can't tell whether it is in use", Problem = e };
        }

        // To its end: a restore may have dropped the database that the set is a copy of.
        using (alone)
        {
            return alone is null ? decision with { Expires = false, Reason = "in use" } : await RemoveAsync(decision, held, cancel);
        }
    }

    /// <summary>
    /// A person's pin comes first, also one that is set meanwhile. Who pins writes keep.json and then looks whether the
    /// manifest is there; this deletes the manifest and then looks whether keep.json is there. So at least one of the two sees
    /// what the other did: this puts the manifest back before anything else is gone, or the person is told that it is too late.
    /// </summary>
    private async Task<RetentionDecision> RemoveAsync(RetentionDecision decision, RunLock held, CancellationToken cancel)
    {
        var keep = RepositoryLayout.InSet(decision.Set.Id, RepositoryLayout.KeepFile);
        var manifest = RepositoryLayout.InSet(decision.Set.Id, RepositoryLayout.ManifestFile);
        var pinned = decision with { Expires = false, Reason = "pinned" };
        if (await store.StatAsync(keep, cancel) is not null)
        {
            return pinned;
        }

        if (await store.ReadAsync(manifest, ManifestFormat.MaxBytes, cancel) is not { } bytes)
        {
            return decision with { Expires = false, Reason = "its manifest is gone: somebody else removes it" };
        }

        await SetRemoval.BeginAsync(store, decision.Set.Id, held, time, cancel);
        // From here to its end no cancellation: the set must not be left without a manifest when it was pinned.
        try
        {
            await store.DeleteAsync(manifest, CancellationToken.None);
        }
        catch (ObjectLockedException e)
        {
            await store.DeleteAsync(RepositoryLayout.InSet(decision.Set.Id, RepositoryLayout.IntentFile), CancellationToken.None);
            return decision with { Expires = false, Reason = $"{decision.Reason}, but {e.Words}" };
        }

        if (await store.StatAsync(keep, CancellationToken.None) is not null)
        {
            await PutBackAsync(decision.Set.Id, manifest, bytes);
            await store.DeleteAsync(RepositoryLayout.InSet(decision.Set.Id, RepositoryLayout.IntentFile), CancellationToken.None);
            return pinned;
        }

        await SetRemoval.RemoveFolderAsync(store, decision.Set.Id, log, cancel);
        log.Information("removed set {Id}: {Reason}", decision.Set.Id, decision.Reason);
        return decision;
    }

    private async Task PutBackAsync(string id, string manifest, byte[] bytes)
    {
        try
        {
            await store.WriteAsync(manifest, bytes, WriteMode.CreateNew, CancellationToken.None);
        }
        catch (StorageException e)
        {
            throw new StorageException(
                $"set {id} was pinned while it was removed, and its manifest can't be put back: {e.Message}",
                $"all its objects are still in sets/{id}, and are left there: restore them as docs/formats.md says",
                e);
        }
    }
}
