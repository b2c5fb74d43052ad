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
internal sealed class RecoveryChoice(RecoverableWal archived, WalScan scan, TimeProvider time, ILogger log)
{
    private readonly RecoveryLine _line = new(archived, scan);

    // An archive in which nothing happens for long is not read to its beginning only to tell people more.
    private const int MostForWords = 64;

    /// <summary>The newest set that leads to a target, and the WAL that does.</summary>
    /// <param name="candidates">The sets to choose among, the newest first.</param>
    /// <param name="named">True when a person chose the set.</param>
    /// <param name="target">Where recovery is to end.</param>
    /// <param name="timeline">The timeline that a person chose, or null.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">Nothing leads there; the message has the window.</exception>
    public async Task<ChosenRecovery> ChooseAsync(
        IReadOnlyList<Manifest> candidates, bool named, RecoveryTarget target, uint? timeline, CancellationToken cancel)
    {
        EnsureKnown(timeline);
        EnsureReadable(target);
        EnsureMeant(target, timeline);
        var line = timeline ?? candidates.Max(m => archived.Index.NewestFrom(m.Physical!));
        var onLine = candidates.Where(m => archived.Descends(line, m.Physical!)).ToList();
        if (onLine.Count == 0)
        {
            throw OffLine(candidates[0], named, timeline);
        }

        BackupException? unusable = null;
        foreach (var set in onLine.Where(m => EndedBefore(m, target, named)))
        {
            var facts = set.Physical!;
            var span = archived.From(facts, timeline ?? await _line.OldestWithAsync(facts, target, cancel));
            if (span.End < facts.Stop)
            {
                unusable ??= Inconsistent(set, span);
                log.Warning("{Message:l}", Inconsistent(set, span).Message);
                continue;
            }

            var chosen = new ChosenRecovery(set, facts, span, string.Empty);
            if (target.Kind == RecoveryTargetKind.Name && !await scan.HasRestorePointAsync(span, facts.Stop, target.Name, cancel))
            {
                unusable ??= await UnreachableAsync(
                    chosen with { Window = await WindowAsync(chosen, cancel) }, target, $"it is not in the WAL after set {set.Id}", cancel);
                continue;
            }

            var (window, why) = await JudgeAsync(chosen, target, cancel);
            WarnOfLeft(chosen.Timeline);
            return why is null ? chosen with { Window = window } : throw await UnreachableAsync(chosen with { Window = window }, target, why, cancel);
        }

        throw unusable ?? await TooEarlyAsync(onLine[^1], target, timeline, cancel);
    }

    // A set that ends after the target can't lead to it. A named restore point tells nothing of its time; and what was running at
    // the end of a set may have ended after it, which is looked for only in a set that a person chose.
    private static bool EndedBefore(Manifest set, RecoveryTarget target, bool named) => target.Kind switch
    {
        RecoveryTargetKind.Time => set.Stopped <= target.Time,
        RecoveryTargetKind.Lsn => set.Physical!.Stop <= target.Lsn,
        RecoveryTargetKind.Xid when named => true,
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

    // Which timeline is the newest can't be told when a history can't be read.
    private void EnsureKnown(uint? timeline)
    {
        if (timeline is null && archived.Problem is { } problem)
        {
            throw new BackupException(problem.Kind, problem.Message, problem.Kind == ErrorKind.Encryption ? problem.Hint : $"{problem.Hint}; or choose a timeline with --timeline", problem);
        }

        foreach (var unknown in archived.UnknownTimelines)
        {
            log.Warning(
                "timeline {Timeline} has WAL in store {Store:l}, and no history file: what it descends from is not known", unknown, archived.Store);
        }
    }

    // The old server may have been a recovered one, whose WAL was never archived: what it wrote since is nowhere else.
    private void EnsureMeant(RecoveryTarget target, uint? timeline)
    {
        if (timeline is null && archived.OnlyInOld is { } old && archived.Index.Timelines.DefaultIfEmpty(1u).Max() is var newest && old > newest)
        {
            var what = $"the old data directory was on timeline {old}, of which store {archived.Store} knows nothing: what was committed there is not on timeline {newest}";
            if (target.Kind == RecoveryTargetKind.End)
            {
                throw new BackupException(
                    ErrorKind.Failed, what, $"say which: --timeline {old} goes on with its old pg_wal; --timeline {newest} leaves it, and saves that WAL beside");
            }

            log.Warning("{What:l}; --timeline {Old} goes there", what, old);
        }
    }

    // A server that went on after a copy of it had been promoted wrote a second history of the same time.
    private void WarnOfLeft(uint timeline)
    {
        foreach (var left in archived.Index.LineTo(timeline).History.Ancestors)
        {
            if (archived.Index.Of(left.Timeline) is [.., var last] && last.Segment.Start >= left.End)
            {
                log.Warning(
                    "timeline {Left} has WAL to {Last}, beyond {End} where timeline {Followed} leaves it: what was committed there is not in this "
                    + "recovery; --timeline {Other} goes there instead",
                    left.Timeline,
                    last.Segment.End,
                    left.End,
                    timeline,
                    left.Timeline);
            }
        }
    }

    private void EnsureReadable(RecoveryTarget target)
    {
        if (target.Kind is RecoveryTargetKind.Time or RecoveryTargetKind.Xid or RecoveryTargetKind.Name && !scan.IsPossible)
        {
            throw WalScan.ToolMissing(target);
        }
    }

    // Why the target can't be reached, or null; and the window.
    private async Task<(string Window, string? Why)> JudgeAsync(ChosenRecovery chosen, RecoveryTarget target, CancellationToken cancel)
    {
        var (span, facts) = (chosen.Span, chosen.Facts);
        switch (target.Kind)
        {
            case RecoveryTargetKind.End when span.Beyond is { } beyond:
                return (await WindowAsync(chosen, cancel), $"segment {span.Missing} is missing in store {archived.Store}, and {beyond} comes after it");
            case RecoveryTargetKind.End when span.GoesAstray:
                return (await WindowAsync(chosen, cancel), Astray(span));
            case RecoveryTargetKind.Time:
                var last = await LastAsync(chosen, int.MaxValue, cancel);
                var isReached = last is not null && target.IsProvenBy(last.Time);
                return (Words(chosen, last), isReached ? null : "no transaction in the WAL ended after it, so that PostgreSQL could not know that it is there");
            case RecoveryTargetKind.Lsn when target.Lsn >= span.End:
                return (await WindowAsync(chosen, cancel), "the WAL ends before it");
            case RecoveryTargetKind.Lsn when target.Lsn >= span.Segments[^1].Start && scan.IsPossible:
                var record = await scan.LastRecordAsync(span, cancel);
                return (await WindowAsync(chosen, cancel), record >= target.Lsn ? null : $"the last record of the WAL begins at {record}");
            case RecoveryTargetKind.Xid:
                log.Information("looking for the end of transaction {Xid} in {Count} segments", target.Xid, span.Segments.Count);
                var isThere = await scan.HasTransactionAsync(span, facts.Stop, (uint)target.Xid, cancel);
                return (await WindowAsync(chosen, cancel), isThere ? null : $"it does not end in the WAL after set {chosen.Set.Id}");
            default:
                return (await WindowAsync(chosen, cancel), null);
        }
    }

    private async Task<TransactionEnd?> LastAsync(ChosenRecovery chosen, int mostSegments, CancellationToken cancel) =>
        await scan.LastTransactionAsync(chosen.Span, mostSegments, cancel) is { } last && last.Time > chosen.Set.Stopped ? last : null;

    private async Task<string> WindowAsync(ChosenRecovery chosen, CancellationToken cancel) =>
        scan.IsPossible ? Words(chosen, await LastAsync(chosen, MostForWords, cancel)) : Words(chosen, null);

    private string Words(ChosenRecovery chosen, TransactionEnd? last)
    {
        var end = last is not null ? RecoveryTarget.PostgresTime(last.Time) : scan.IsPossible ? "the same moment" : "the end of the WAL";
        return $"from {RecoveryTarget.PostgresTime(chosen.Set.Stopped)} (LSN {chosen.Facts.Stop}) to {end} (LSN {chosen.Span.End}, "
            + $"segment {chosen.Span.Segments[^1]})";
    }

    private string Astray(WalSpan span) => string.Create(
        CultureInfo.InvariantCulture,
        $"segment {span.Missing} is not in store {archived.Store}, with which timeline {span.Timeline} begins; in its place PostgreSQL would take "
        + $"{span.Segments[^1]}, and replay what timeline {span.Segments[^1].Timeline} has after {span.End}, where {span.Timeline} left it");

    private BackupException OffLine(Manifest newest, bool named, uint? timeline) => new(
        ErrorKind.Failed,
        $"timeline {timeline} {(named ? $"does not descend from set {newest.Id}" : "descends from no set")}; from {newest.Id} (timeline "
        + $"{newest.Physical!.Timeline}) descend in store {archived.Store}: {archived.DescendantsOf(newest.Physical)}",
        "leave --timeline out for the newest one");

    private BackupException Inconsistent(Manifest set, WalSpan span) => new(
        ErrorKind.Verification,
        $"set {set.Id} can't become consistent: it needs WAL up to {set.Physical!.StopLsn}, and segment {span.Missing} is missing in store {archived.Store}",
        "shbackup wal-archive verify --repair looks for it in the pg_wal of the server");

    private async Task<BackupException> UnreachableAsync(ChosenRecovery chosen, RecoveryTarget target, string why, CancellationToken cancel) => new(
        chosen.Span.Beyond is null ? ErrorKind.Failed : ErrorKind.Verification,
        $"{target} can't be reached: {why}; set {chosen.Set.Id} and the WAL of timeline {chosen.Timeline} reach {chosen.Window}",
        chosen.Span.GoesAstray && target.Kind == RecoveryTargetKind.End
            ? $"restore again when {chosen.Span.Missing} is archived (shbackup wal-archive status); or go as far as to where the timelines part: --timeline "
                + $"{chosen.Span.Segments[^1].Timeline} --to-lsn {chosen.Span.End} --exclusive"
            : chosen.Span.Beyond is null
            ? target.HintBeyondArchive(time.GetUtcNow())
            : $"shbackup wal-archive verify --repair fills the gap if it can; or go as far as it: {await LastBeforeAsync(chosen, cancel)}");

    // Recovery stops at the first record from there on, and never before the set's end.
    private async Task<string> LastBeforeAsync(ChosenRecovery chosen, CancellationToken cancel)
    {
        var last = (scan.IsPossible ? await scan.LastRecordAsync(chosen.Span, cancel) : null) ?? new Lsn(chosen.Span.Segments[^1].Start.Value);
        return last >= chosen.Facts.Stop ? $"--to-lsn {last}" : "--to-immediate";
    }

    private async Task<BackupException> TooEarlyAsync(Manifest oldest, RecoveryTarget target, uint? timeline, CancellationToken cancel)
    {
        var facts = oldest.Physical!;
        var span = archived.From(facts, timeline ?? archived.Index.NewestFrom(facts));
        var window = span.End < facts.Stop ? "nothing" : await WindowAsync(new ChosenRecovery(oldest, facts, span, string.Empty), cancel);
        var xid = target.Kind == RecoveryTargetKind.Xid
            ? string.Create(CultureInfo.InvariantCulture, $" (the next transaction at its end was {facts.StopNextXid})")
            : string.Empty;
        return new BackupException(
            ErrorKind.Failed,
            $"{target} can't be reached: set {oldest.Id} ended after it{xid}; it reaches {window}",
            "choose a moment after a set's end, or an older set: shbackup backup list");
    }
}
