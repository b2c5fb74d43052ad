using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Wal;

/// <summary>Keeps the record of what clean-ups have removed.</summary>
internal static class WalRemovals
{
    /// <summary>The record as it is to be before a plan is carried out: what it removes, and what was removed before.</summary>
    public static IReadOnlyList<WalRemovedRange> Merge(WalIndex index, WalRetentionPlan plan) =>
        Join(index.Removed.Concat(RangesOf(index, plan))).Select(r => new WalRemovedRange(
            new WalSegment(r.Timeline, r.First, index.SegmentBytes).Name, new WalSegment(r.Timeline, r.Last, index.SegmentBytes).Name)).ToList();

    // Between two segments that go and with none that stays between them, there is nothing left that anybody could miss.
    private static IEnumerable<WalRange> RangesOf(WalIndex index, WalRetentionPlan plan)
    {
        WalRange? range = null;
        foreach (var decision in plan.Decisions.Where(static d => d.Entry.Name.Kind == WalFileKind.Segment))
        {
            if (!WalSegment.TryParse(decision.Entry.Name.Name, index.SegmentBytes, out var segment))
            {
                continue;
            }

            if (range is not null && (!decision.Removes || range.Timeline != segment.Timeline))
            {
                yield return range;
                range = null;
            }

            if (decision.Removes)
            {
                range = (range ?? new WalRange(segment.Timeline, segment.Number, segment.Number)) with { Last = segment.Number };
            }
        }

        if (range is not null)
        {
            yield return range;
        }
    }

    private static IEnumerable<WalRange> Join(IEnumerable<WalRange> ranges)
    {
        WalRange? joined = null;
        foreach (var range in ranges.OrderBy(static r => r.Timeline).ThenBy(static r => r.First))
        {
            if (joined is not null && joined.Timeline == range.Timeline && range.First <= joined.Last + 1)
            {
                joined = joined with { Last = Math.Max(joined.Last, range.Last) };
                continue;
            }

            if (joined is not null)
            {
                yield return joined;
            }

            joined = range;
        }

        if (joined is not null)
        {
            yield return joined;
        }
    }
}
