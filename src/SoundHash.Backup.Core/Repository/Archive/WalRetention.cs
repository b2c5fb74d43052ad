using System.Globalization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>A base backup as a clean-up of the WAL archive sees it.</summary>
/// <param name="Manifest">Its manifest.</param>
/// <param name="IsGood">Complete, without damaged pages, with the log that makes it consistent.</param>
/// <param name="IsInUse">Somebody restores it.</param>
public sealed record WalSet(Manifest Manifest, bool IsGood, bool IsInUse)
{
    /// <summary>Its facts.</summary>
    public PhysicalFacts Facts => Manifest.Physical!;
}

/// <summary>What becomes of an archived file, and why.</summary>
/// <param name="Entry">The file.</param>
/// <param name="Removes">True when it is to be removed.</param>
/// <param name="Reason">In words, for people.</param>
public sealed record WalDecision(WalEntry Entry, bool Removes, string Reason);

/// <summary>The decisions for an archive.</summary>
/// <param name="Decisions">One for each file, in order.</param>
/// <param name="Anchors">The sets in whose stead older ones lose the log after their end: they must be read back first.</param>
public sealed record WalRetentionPlan(IReadOnlyList<WalDecision> Decisions, IReadOnlyList<Manifest> Anchors)
{
    /// <summary>What becomes of pieces of unfinished segments, one decision for all of a segment's.</summary>
    public IReadOnlyList<WalDecision> Pieces { get; init; } = [];

    /// <summary>False when no set is good: then all is kept, since nothing could be recovered without it, or with it.</summary>
    public bool HasGoodSet { get; init; } = true;

    /// <summary>True when nothing goes.</summary>
    public bool RemovesNothing => !Decisions.Concat(Pieces).Any(static d => d.Removes);

    /// <summary>What is to be removed, in order.</summary>
    public IReadOnlyList<WalEntry> Removals => Decisions.Where(static d => d.Removes).Select(static d => d.Entry).ToList();
}

/// <summary>
/// Decides by need and not by age alone. A file goes only when it was stored before the recovery window began, and
/// - no set that is there needs it to be consistent;
/// - recovery to no moment of the window needs it: on each timeline that was written in the window, or that goes on where
///   others left it, all log stays from the start of the newest good set that ended before the window began, or of all sets where there is none;
/// - no set that is being written needs it.
/// Histories always stay. Where a timeline comes from is unknown while its history can't be read (it is encrypted, say): then
/// every older timeline counts as its ancestor, and none as one that leads a set to it.
/// </summary>
public static class WalRetention
{
    /// <summary>What becomes of each file of a cluster's archive.</summary>
    /// <param name="index">The archive.</param>
    /// <param name="sets">All base backups of the cluster.</param>
    /// <param name="retentionStart">When the recovery window begins.</param>
    /// <param name="writingFrom">What sets that are being written need: all from this position on; null for nothing.</param>
    /// <param name="pieces">Segments that there are only pieces of: what nothing needs is never completed and goes in the same way.</param>
    public static WalRetentionPlan Decide(
        WalIndex index, IReadOnlyList<WalSet> sets, DateTimeOffset retentionStart, Lsn? writingFrom, IReadOnlyList<WalEntry>? pieces = null)
    {
        if (!sets.Any(static s => s.IsGood))
        {
            return new WalRetentionPlan(KeepAll(index, "there is no good base backup"), []) { HasGoodSet = false };
        }

        if (sets.Any(s => s.Facts.WalSegmentBytes != index.SegmentBytes))
        {
            return new WalRetentionPlan(KeepAll(index, "the base backups have different segment sizes"), []);
        }

        var anchors = new List<Manifest>();
        var needs = sets.Select(s => OfSet(index, s)).ToList();
        foreach (var timeline in Surviving(index, retentionStart))
        {
            var anchor = sets.Where(s => s.IsGood && s.Manifest.Stopped < retentionStart && SurelyLeadsTo(index, s, timeline))
                .MaxBy(static s => s.Manifest.Stopped);
            if (anchor is not null)
            {
                anchors.Add(anchor.Manifest);
            }

            needs.AddRange(sets
                .Where(s => anchor is null || s.IsInUse || s.Manifest.Stopped >= anchor.Manifest.Stopped)
                .Where(s => MayLeadTo(index, s, timeline))
                .Select(s => OfWindow(index, s, timeline)));
        }

        if (writingFrom is { } from)
        {
            var first = from.Value / (ulong)index.SegmentBytes;
            needs.Add(new Need("a set that is being written", segment => segment.Number >= first));
        }

        return new WalRetentionPlan(
            index.Entries.Select(e => Decide(index, e, needs, retentionStart)).ToList(), anchors.DistinctBy(static a => a.Id).ToList())
        {
            Pieces = pieces?.Select(e => Decide(index, e, needs, retentionStart)).ToList() ?? [],
        };
    }

    private static WalDecision Decide(WalIndex index, WalEntry entry, List<Need> needs, DateTimeOffset retentionStart)
    {
        if (entry.Name.Kind == WalFileKind.TimelineHistory)
        {
            return new WalDecision(entry, false, "a history");
        }

        if (entry.Stored >= retentionStart)
        {
            return new WalDecision(entry, false, "stored within the recovery window");
        }

        // A partial segment and the history of a base backup go with the segment that they are named after.
        if (!WalSegment.TryParse(entry.Name.Name[..24], index.SegmentBytes, out var segment))
        {
            return new WalDecision(entry, false, "no segment of this size has that name");
        }

        return needs.Find(n => n.Covers(segment)) is { } need
            ? new WalDecision(entry, false, need.Reason)
            : new WalDecision(
                entry,
                true,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"stored {entry.Stored.UtcDateTime:yyyy-MM-dd}, before the recovery window; no set needs it"));
    }

    private static List<WalDecision> KeepAll(WalIndex index, string reason) =>
        index.Entries.Select(e => new WalDecision(e, false, reason)).ToList();

    // No moment of the window lies on a timeline to which nothing was written since it began, and that its descendants left at its
    // end. One that went on, or that nobody left, may only have been idle: a copy that was tried out has the higher number.
    private static IEnumerable<uint> Surviving(WalIndex index, DateTimeOffset retentionStart)
    {
        var histories = index.Timelines.Select(index.HistoryOf).OfType<TimelineHistory>().ToList();
        return index.Timelines.Where(t =>
            index.Entries.Any(e => e.Stored >= retentionStart && e.Name.TimelineNumber == t)
            || (index.Of(t) is { Count: > 0 } own && histories.TrueForAll(h => h.SwitchFrom(t) is not { } left || own[^1].Segment.End > left)));
    }

    private static Need OfSet(WalIndex index, WalSet set)
    {
        var (first, last) = (set.Facts.FirstSegment.Number, set.Facts.LastSegment.Number);
        return new Need(
            $"set {set.Manifest.Id} needs it to be consistent",
            segment => segment.Number >= first && segment.Number <= last
                && (segment.Timeline == set.Facts.Timeline || MayLeadTo(index, set, segment.Timeline)));
    }

    private static Need OfWindow(WalIndex index, WalSet set, uint timeline)
    {
        var first = set.Facts.FirstSegment.Number;
        var history = index.HistoryOf(timeline);
        bool IsOnLine(WalSegment segment) => history is null
            ? segment.Timeline <= timeline
            : segment.Timeline == timeline
                || (history.SwitchFrom(segment.Timeline) is { } end && segment.Number <= end.Value / (ulong)index.SegmentBytes);
        return new Need(
            $"recovery from set {set.Manifest.Id} needs it", segment => segment.Number >= first && IsOnLine(segment));
    }

    private static bool SurelyLeadsTo(WalIndex index, WalSet set, uint timeline) =>
        index.LineTo(timeline).DescendsFrom(set.Facts.Timeline, set.Facts.Stop);

    private static bool MayLeadTo(WalIndex index, WalSet set, uint timeline) => index.HistoryOf(timeline) is null
        ? set.Facts.Timeline <= timeline
        : SurelyLeadsTo(index, set, timeline);

    private sealed record Need(string Reason, Func<WalSegment, bool> Covers);
}
