using System.Runtime.InteropServices;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>An archived whole segment.</summary>
/// <param name="Segment">The segment.</param>
/// <param name="Entry">Its file.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct WalIndexed(WalSegment Segment, WalEntry Entry);

/// <summary>The archived files of one cluster in order. Only whole segments count, and only those whose content can be checked.</summary>
public sealed class WalIndex
{
    private readonly Dictionary<uint, List<WalIndexed>> _segments;
    private readonly Dictionary<uint, TimelineHistory> _histories;

    /// <param name="segmentBytes">The cluster's segment size.</param>
    /// <param name="entries">All archived files.</param>
    /// <param name="histories">The histories that could be read.</param>
    /// <param name="removed">What clean-ups have removed.</param>
    public WalIndex(
        int segmentBytes, IEnumerable<WalEntry> entries, IEnumerable<TimelineHistory> histories, IEnumerable<WalRange>? removed = null)
    {
        SegmentBytes = segmentBytes;
        Removed = removed?.ToList() ?? [];
        Entries = entries.OrderBy(static e => e.Name.Name, StringComparer.Ordinal).ToList();
        _histories = histories.ToDictionary(static h => h.Timeline);
        var whole = new List<WalIndexed>();
        foreach (var entry in Entries.Where(static e => e.Name.Kind == WalFileKind.Segment))
        {
            if (entry.HasSum && WalSegment.TryParse(entry.Name.Name, segmentBytes, out var segment))
            {
                whole.Add(new WalIndexed(segment, entry));
            }
        }

        _segments = whole.GroupBy(static w => w.Segment.Timeline)
            .ToDictionary(static g => g.Key, static g => g.OrderBy(static w => w.Segment.Number).ToList());
        var named = Entries.Where(static e => e.Name.Kind == WalFileKind.TimelineHistory)
            .Select(static e => e.Name.TimelineNumber).ToHashSet();
        Timelines = named.Concat(_segments.Keys).Concat(_histories.Keys).Distinct().Order().ToList();
        Unread = Timelines.Where(t => t > 1 && !_histories.ContainsKey(t)).ToList();
    }

    /// <summary>The cluster's segment size.</summary>
    public int SegmentBytes { get; }

    /// <summary>All archived files, by name.</summary>
    public IReadOnlyList<WalEntry> Entries { get; }

    /// <summary>What clean-ups have removed.</summary>
    public IReadOnlyList<WalRange> Removed { get; }

    /// <summary>All timelines that something is known of, in order.</summary>
    public IReadOnlyList<uint> Timelines { get; }

    /// <summary>Timelines whose history is missing, or could not be read: where they come from is not known.</summary>
    public IReadOnlyList<uint> Unread { get; }

    /// <summary>
    /// The first segments of timelines whose history could not be read, where no older timeline has the one before, nor was it
    /// cleaned up: whatever they come from, something between is missing.
    /// </summary>
    public IEnumerable<WalSegment> BeginningsWithoutParent => Unread.Select(Of).Where(static s => s.Count > 0).Select(static s => s[0].Segment)
        .Where(first => first.Number > 0 && !Timelines.Where(t => t < first.Timeline).Any(t =>
            Has(new WalSegment(t, first.Number - 1, SegmentBytes))
            || Removed.Any(r => r.Timeline == t && r.First <= first.Number - 1 && first.Number - 1 <= r.Last)));

    /// <summary>The whole segments of a timeline, in order.</summary>
    public IReadOnlyList<WalIndexed> Of(uint timeline) => _segments.GetValueOrDefault(timeline) ?? [];

    /// <summary>The whole segments of a range, in order.</summary>
    public IEnumerable<WalIndexed> Within(WalRange range)
    {
        var segments = Of(range.Timeline);
        var (low, high) = (0, segments.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = segments[middle].Segment.Number < range.First ? (middle + 1, high) : (low, middle);
        }

        return segments.Skip(low).TakeWhile(s => s.Segment.Number <= range.Last);
    }

    /// <summary>True when a whole segment is archived.</summary>
    public bool Has(WalSegment segment) => Within(new WalRange(segment.Timeline, segment.Number, segment.Number)).Any();

    /// <summary>The history of a timeline; null when it is not known. The first timeline has no ancestors.</summary>
    public TimelineHistory? HistoryOf(uint timeline) =>
        _histories.GetValueOrDefault(timeline) ?? (timeline == 1 ? new TimelineHistory(1, []) : null);

    /// <summary>The line to a timeline: of itself alone when its history is not known.</summary>
    public WalLine LineTo(uint timeline) => new(HistoryOf(timeline) ?? new TimelineHistory(timeline, []), SegmentBytes);

    /// <summary>The timelines that a base backup can surely be recovered to, its own first and the newest last.</summary>
    public IReadOnlyList<uint> DescendantsOf(PhysicalFacts facts) => Timelines.Append(facts.Timeline)
        .Where(t => LineTo(t).DescendsFrom(facts.Timeline, facts.Stop)).Distinct().Order().ToList();

    /// <summary>The newest timeline that a base backup can be recovered to.</summary>
    public uint NewestFrom(PhysicalFacts facts) => DescendantsOf(facts)[^1];

    /// <summary>The chain from the first segment that a base backup needs to what is archived of a timeline.</summary>
    public WalChain ChainOf(PhysicalFacts facts, uint timeline) =>
        WalChain.Of(this, facts.FirstSegment, LineTo(timeline), facts.LastSegment.Number);

    /// <summary>How many bytes of a segment come before the first place in it where another timeline left its own; all of them where none did.</summary>
    public long BytesBeforeBranch(WalSegment segment) => Timelines
        .Select(t => HistoryOf(t)?.SwitchFrom(segment.Timeline))
        .Where(end => end >= segment.Start && end < segment.End)
        .Select(end => (long)(end!.Value.Value - segment.Start.Value))
        .DefaultIfEmpty(segment.SizeBytes)
        .Min();

    /// <summary>
    /// The first missing segment of the log that makes a base backup consistent, on the line that has most of it; null when
    /// all of it is there.
    /// </summary>
    public WalSegment? FirstMissingFor(PhysicalFacts facts)
    {
        var best = BestFor(facts);
        var next = best.ContiguousEnd is { } end ? end.Number + 1 : best.First.Number;
        return next <= facts.LastSegment.Number ? best.Line.At(next) : null;
    }

    /// <summary>The segments that make a base backup consistent, in order, on the line that has most of them.</summary>
    public IReadOnlyList<WalSegment> NeededFor(PhysicalFacts facts)
    {
        var line = BestFor(facts).Line;
        var needed = new List<WalSegment>();
        for (var number = facts.FirstSegment.Number; number <= facts.LastSegment.Number; number++)
        {
            needed.Add(line.At(number));
        }

        return needed;
    }

    private WalChain BestFor(PhysicalFacts facts) => DescendantsOf(facts).Select(t => ChainOf(facts, t))
        .MaxBy(static c => c.ContiguousEnd is { } end ? end.Number + 1 : c.First.Number)!;
}
