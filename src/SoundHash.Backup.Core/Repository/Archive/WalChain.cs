using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>Consecutive segments that are missing between others that are there.</summary>
/// <param name="First">The first that is missing.</param>
/// <param name="Last">The last that is missing; of a later timeline, it may be, than the first.</param>
/// <param name="After">When the segment before it was stored; null when it begins the chain.</param>
/// <param name="Before">When the segment after it was stored; null when none is there.</param>
public sealed record WalGap(WalSegment First, WalSegment Last, DateTimeOffset? After, DateTimeOffset? Before)
{
    /// <summary>How many segments are missing.</summary>
    public ulong Count => Last.Number - First.Number + 1;
}

/// <summary>The archived segments of one line of descent from one segment on.</summary>
/// <param name="First">Where it begins; that one may be missing.</param>
/// <param name="Line">The line.</param>
/// <param name="Entries">What is there, in order.</param>
/// <param name="Gaps">What is missing up to <paramref name="Through"/> and was not removed by a clean-up.</param>
/// <param name="ContiguousEnd">The last segment before the first one that is missing for whatever reason; null when the first is.</param>
/// <param name="Through">The number of the last segment that is there, or that it was asked to reach; null for none.</param>
public sealed record WalChain(
    WalSegment First,
    WalLine Line,
    IReadOnlyList<WalIndexed> Entries,
    IReadOnlyList<WalGap> Gaps,
    WalSegment? ContiguousEnd,
    ulong? Through)
{
    /// <summary>When the last segment before the first missing one was stored; null when the first is missing.</summary>
    public DateTimeOffset? ContiguousStored =>
        ContiguousEnd is { } end ? Entries[(int)(end.Number - First.Number)].Entry.Stored : null;

    /// <summary>
    /// The part of the log up to which recovery can go from a base backup that begins here; null when it can't even make it
    /// consistent.
    /// </summary>
    /// <param name="stop">Where the base backup is consistent.</param>
    public Lsn? EndOf(Lsn stop) => ContiguousEnd is { } end && end.End >= stop ? end.End : null;

    /// <summary>The chain along a line from a segment on.</summary>
    /// <param name="index">What is archived.</param>
    /// <param name="first">Where it begins.</param>
    /// <param name="line">A line that the first segment's timeline is on.</param>
    /// <param name="through">The number of a segment that it must reach, or null for what is there.</param>
    public static WalChain Of(WalIndex index, WalSegment first, WalLine line, ulong? through = null)
    {
        var ranges = line.RangesFrom(first.Number).ToList();
        var entries = ranges.SelectMany(index.Within).ToList();
        var last = entries.Count > 0 ? entries[^1].Segment.Number : (ulong?)null;
        if (through >= first.Number)
        {
            last = Math.Max(last ?? 0, through.Value);
        }

        var missing = MissingOf(first.Number, entries, last).ToList();
        var gaps = missing.SelectMany(m => GapsOf(index, ranges, m, first.SizeBytes)).ToList();
        var end = missing.Count > 0 ? missing[0].First : last + 1;
        return new WalChain(first, line, entries, gaps, end > first.Number ? line.At(end.Value - 1) : null, last);
    }

    private static IEnumerable<Missing> MissingOf(ulong first, List<WalIndexed> entries, ulong? last)
    {
        var next = first;
        DateTimeOffset? after = null;
        foreach (var (segment, entry) in entries)
        {
            if (segment.Number > next)
            {
                yield return new Missing(next, segment.Number - 1, after, entry.Stored);
            }

            next = segment.Number + 1;
            after = entry.Stored;
        }

        if (last >= next)
        {
            yield return new Missing(next, last.Value, after, null);
        }
    }

    // What a clean-up removed is no gap; what is left is one gap also where it goes from one timeline over to the next.
    private static IEnumerable<WalGap> GapsOf(WalIndex index, List<WalRange> ranges, Missing missing, int segmentBytes)
    {
        WalGap? gap = null;
        foreach (var lost in ranges.Where(r => r.First <= missing.Last && r.Last >= missing.First)
            .Select(r => r with { First = Math.Max(r.First, missing.First), Last = Math.Min(r.Last, missing.Last) })
            .SelectMany(r => r.Without(index.Removed)))
        {
            var first = new WalSegment(lost.Timeline, lost.First, segmentBytes);
            var last = first with { Number = lost.Last };
            if (gap is not null && gap.Last.Number + 1 == lost.First)
            {
                gap = gap with { Last = last };
                continue;
            }

            if (gap is not null)
            {
                yield return gap;
            }

            gap = new WalGap(first, last, missing.After, missing.Before);
        }

        if (gap is not null)
        {
            yield return gap;
        }
    }

    private sealed record Missing(ulong First, ulong Last, DateTimeOffset? After, DateTimeOffset? Before);
}
