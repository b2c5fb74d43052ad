using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Carries out what <see cref="RetentionPolicy"/> decides on one store.</summary>
public sealed class Expiry(IObjectStore store, TimeProvider time, ILogger log)
{
    private const string ClockProbe = "sets/.clock-probe";
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromHours(1);

    /// <summary>Removes what has expired, then leftovers of killed runs; with a dry run only says what it would do.</summary>
    /// <exception cref="BackupException">The clocks differ too much to judge ages.</exception>
    public async Task<IReadOnlyList<RetentionDecision>> RunAsync(RetentionDays days, RunLock held, bool dryRun, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        if (!dryRun)
        {
            await CompareClocksAsync(now, cancel);
        }

        var catalogue = await Catalogue.LoadAsync(store, cancel);
        var decisions = RetentionPolicy.Decide(catalogue, days, now);
        var done = new List<RetentionDecision>();
        foreach (var decision in decisions)
        {
            done.Add(decision.Expires && !dryRun ? await RemoveAsync(decision, cancel) : decision);
        }

        await new RepositoryGuard(store, time, log).RemoveLeftoversAsync(catalogue, held, dryRun, cancel);
        return done;
    }

    private async Task<RetentionDecision> RemoveAsync(RetentionDecision decision, CancellationToken cancel)
    {
        // Pinned between our look and now: a person's word comes first.
        if (await store.StatAsync(RepositoryLayout.InSet(decision.Set.Id, RepositoryLayout.KeepFile), cancel) is not null)
        {
            return decision with { Expires = false, Reason = "pinned" };
        }

        await SetWriter.RemoveFolderAsync(store, decision.Set.Id, cancel);
        log.Information("removed set {Id}: {Reason}", decision.Set.Id, decision.Reason);
        return decision;
    }

    private async Task CompareClocksAsync(DateTimeOffset now, CancellationToken cancel)
    {
        await store.WriteAsync(ClockProbe, ReadOnlyMemory<byte>.Empty, WriteMode.Replace, cancel);
        var probe = await store.StatAsync(ClockProbe, cancel);
        await store.DeleteAsync(ClockProbe, cancel);
        if (probe is null || (probe.Modified - now).Duration() > ClockTolerance)
        {
            throw new BackupException(
                ErrorKind.Storage,
                $"the clock of this machine ({now:yyyy-MM-dd HH:mm:ss}Z) and of store {store.Name} ({probe?.Modified:yyyy-MM-dd HH:mm:ss}Z) differ by more than {ClockTolerance.TotalHours:0} hour: nothing is removed",
                "correct the clock (timedatectl), then run this again");
        }
    }
}
