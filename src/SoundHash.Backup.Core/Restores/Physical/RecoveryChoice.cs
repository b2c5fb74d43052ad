using System.Globalization;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>A set and the WAL that lead to a target.</summary>
/// <param name="Set">The set.</param>
/// <param name="Facts">What only a base backup has.</param>
/// <param name="Span">The WAL that recovery finds.</param>
/// <param name="Window">What both reach, in words.</param>
internal sealed record ChosenRecovery(Manifest Set, PhysicalFacts Facts, WalSpan Span, string Window)
{
    public uint Timeline => Span.Timeline;
}

/// <summary>
/// Chooses set and timeline, and proves from the archive that they lead to the target, before anything is written. PostgreSQL
/// itself would find out at the end of the replay.
/// </summary>
internal sealed class RecoveryChoice(WalReach reach, WalScan scan, ILogger log)
{
    private const string SeeSets = "shbackup backup list shows the sets";

    /// <summary>The sets of one cluster that a restore may choose among, the newest first.</summary>
    /// <exception cref="BackupException">There is none, or the choice is not safe.</exception>
    public static IReadOnlyList<Manifest> Candidates(Catalogue catalogue, string? id)
    {
        if (id is not null)
        {
            var named = catalogue.Find(id);
            return named.Kind == SetKind.Physical ? [named] : throw new BackupException(
                ErrorKind.Usage,
                $"set {named.Id} is a logical one, of database \"{named.Database}\": it has no data directory",
                $"shbackup restore --backup {named.Id} --target-db NAME");
        }

        if (catalogue.Sets.FirstOrDefault(static s => s.Manifest is null) is { } broken)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"the right set can't be told, since {broken.Problem!.Message}",
                $"choose a set yourself with --backup ID; {SeeSets}");
        }

        var physical = catalogue.Sets.Where(static s => s.Manifest!.Kind == SetKind.Physical).ToList();
        var systems = physical.Select(static s => s.Manifest!.SystemIdentifier).Distinct().ToList();
        if (systems.Count > 1)
        {
            throw new BackupException(
                ErrorKind.Usage,
                $"the physical sets come from {systems.Count} clusters (system identifiers {string.Join(", ", systems.Select(static s => s ?? "unknown"))})",
                $"choose a set yourself with --backup ID; {SeeSets}");
        }

        var good = physical.Where(static s => s.IsComplete && s.Manifest!.Physical!.DamagedPages.Count == 0).Select(static s => s.Manifest!).ToList();
        return good.Count > 0 ? good : throw new BackupException(
            ErrorKind.Failed,
            physical.Count == 0 ? "there is no physical set" : $"none of the {physical.Count} physical sets is good (whole, without damaged pages)",
            physical.Count == 0 ? "shbackup backup --kind physical makes one" : $"choose one with --backup ID all the same; {SeeSets}");
    }

    /// <summary>Chooses.</summary>
    /// <param name="candidates">The sets to choose among, the newest first.</param>
    /// <param name="named">True when a person chose the set.</param>
    /// <param name="target">Where recovery is to end.</param>
    /// <param name="timeline">The timeline that a person chose, or null.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">Nothing leads there; the message has the window.</exception>
    public async Task<ChosenRecovery> ChooseAsync(
        IReadOnlyList<Manifest> candidates, bool named, RecoveryTarget target, uint? timeline, CancellationToken cancel)
    {
        var onLine = candidates.Where(m => timeline is null || reach.Descends(timeline.Value, m.Physical!)).ToList();
        if (onLine.Count == 0)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"timeline {timeline} descends from {(named ? $"set {candidates[0].Id}" : "no set")}; from {candidates[0].Id} (timeline "
                + $"{candidates[0].Physical!.Timeline}) descend {reach.DescendantsOf(candidates[0].Physical!)} in store {reach.Store}",
                "leave --timeline out for the newest one");
        }

        BackupException? unusable = null;
        foreach (var set in onLine.Where(m => EndedBefore(m, target)))
        {
            var facts = set.Physical!;
            var span = reach.From(facts, timeline ?? reach.NewestDescendant(facts));
            if (span.End < facts.Stop)
            {
                unusable ??= Inconsistent(set, span);
                log.Warning("{Message:l}", Inconsistent(set, span).Message);
                continue;
            }

            var chosen = new ChosenRecovery(set, facts, span, string.Empty);
            if (target.Kind == RecoveryTargetKind.Name && !await scan.HasRestorePointAsync(span.Segments, facts.Stop, target.Name, cancel))
            {
                unusable ??= Unreachable(chosen with { Window = await WindowAsync(chosen, cancel) }, target, "it is not in the WAL after the set");
                continue;
            }

            var (window, why) = await JudgeAsync(chosen, target, cancel);
            return why is null ? chosen with { Window = window } : throw Unreachable(chosen with { Window = window }, target, why);
        }

        throw unusable ?? await TooEarlyAsync(onLine[^1], target, timeline, cancel);
    }

    // A set that ends after the target can't lead to it. A named restore point tells nothing of its time.
    private static bool EndedBefore(Manifest set, RecoveryTarget target) => target.Kind switch
    {
        RecoveryTargetKind.Time => set.Stopped <= target.Time,
        RecoveryTargetKind.Lsn => set.Physical!.Stop <= target.Lsn,
        RecoveryTargetKind.Xid => set.Physical!.StopNextXid <= FullXid(target.Xid, set.Physical.StopNextXid),
        _ => true,
    };

    /// <summary>A transaction id with its epoch: one of 32 bits is the one nearest to another.</summary>
    internal static ulong FullXid(ulong xid, ulong near)
    {
        const ulong Epoch = 1UL << 32;
        if (xid >= Epoch)
        {
            return xid;
        }

        var full = (near & ~(Epoch - 1)) | xid;
        return full + (Epoch / 2) < near ? full + Epoch : full >= Epoch && full > near + (Epoch / 2) ? full - Epoch : full;
    }

    // Why the target can't be reached, or null; and the window.
    private async Task<(string Window, string? Why)> JudgeAsync(ChosenRecovery chosen, RecoveryTarget target, CancellationToken cancel)
    {
        var (span, facts) = (chosen.Span, chosen.Facts);
        switch (target.Kind)
        {
            case RecoveryTargetKind.End when span.Beyond is { } beyond:
                return (await WindowAsync(chosen, cancel), $"segment {span.Missing} is missing in store {reach.Store}, and {beyond} comes after it");
            case RecoveryTargetKind.Time:
                var last = await LastAsync(chosen, cancel);
                var isReached = last is not null && (target.Exclusive ? target.Time <= last.Time : target.Time < last.Time);
                return (Words(chosen, last), isReached ? null : "no transaction in the WAL ended after it, so that PostgreSQL could not know that it is there");
            case RecoveryTargetKind.Lsn when target.Lsn >= span.End:
                return (await WindowAsync(chosen, cancel), "the WAL ends before it");
            case RecoveryTargetKind.Lsn when target.Lsn >= span.Segments[^1].Start:
                var record = await scan.LastRecordAsync(span.Segments, cancel);
                return (await WindowAsync(chosen, cancel), record >= target.Lsn ? null : $"the last record of the WAL begins at {record}");
            case RecoveryTargetKind.Xid:
                var isThere = await scan.HasTransactionAsync(span.Segments, facts.Stop, (uint)target.Xid, cancel);
                return (await WindowAsync(chosen, cancel), isThere ? null : "it does not end in the WAL after the set");
            default:
                return (await WindowAsync(chosen, cancel), null);
        }
    }

    private async Task<TransactionEnd?> LastAsync(ChosenRecovery chosen, CancellationToken cancel) =>
        await scan.LastTransactionAsync(chosen.Span.Segments, cancel) is { } last && last.Time > chosen.Set.Stopped ? last : null;

    private async Task<string> WindowAsync(ChosenRecovery chosen, CancellationToken cancel) => Words(chosen, await LastAsync(chosen, cancel));

    private static string Words(ChosenRecovery chosen, TransactionEnd? last) =>
        $"from {RecoveryTarget.PostgresTime(chosen.Set.Stopped)} (LSN {chosen.Facts.Stop}) to "
        + (last is null ? "the same moment" : RecoveryTarget.PostgresTime(last.Time))
        + $" (LSN {chosen.Span.End}, segment {chosen.Span.Segments[^1]})";

    private BackupException Inconsistent(Manifest set, WalSpan span) => new(
        ErrorKind.Verification,
        $"set {set.Id} can't become consistent: it needs WAL up to {set.Physical!.StopLsn}, and segment {span.Missing} is missing in store {reach.Store}",
        "shbackup wal-archive verify --repair looks for it in pg_wal and other stores");

    private static BackupException Unreachable(ChosenRecovery chosen, RecoveryTarget target, string why) => new(
        chosen.Span.Beyond is null ? ErrorKind.Failed : ErrorKind.Verification,
        $"{target} can't be reached: {why}; set {chosen.Set.Id} and the WAL of timeline {chosen.Timeline} reach {chosen.Window}",
        chosen.Span.Beyond is null
            ? "without a target recovery goes to the end of the archived WAL; if WAL is still to come, see shbackup wal-archive status"
            : $"shbackup wal-archive verify --repair fills the gap if it can; or go as far as it: --to-lsn {LastBefore(chosen.Span.End)}");

    // The last record begins somewhere before the end; recovery to the beginning of the last page's segment is always there.
    private static Lsn LastBefore(Lsn end) => new(end.Value - 1 - ((end.Value - 1) % 8192));

    private async Task<BackupException> TooEarlyAsync(Manifest oldest, RecoveryTarget target, uint? timeline, CancellationToken cancel)
    {
        var facts = oldest.Physical!;
        var span = reach.From(facts, timeline ?? reach.NewestDescendant(facts));
        var window = span.End < facts.Stop ? "nothing" : await WindowAsync(new ChosenRecovery(oldest, facts, span, string.Empty), cancel);
        var xid = target.Kind == RecoveryTargetKind.Xid
            ? string.Create(CultureInfo.InvariantCulture, $" (the next transaction at its end was {facts.StopNextXid})")
            : string.Empty;
        return new BackupException(
            ErrorKind.Failed,
            $"{target} can't be reached: set {oldest.Id} ended after it{xid}; it reaches {window}",
            $"choose a moment after a set's end, or an older set; {SeeSets}");
    }
}
