using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// The line of descent of a timeline, in segments. Recovery reads each segment from the newest timeline that has it
/// (XLogFileReadAnyTLI, src/backend/access/transam/xlogrecovery.c): the one in which a timeline ends is there on the next
/// one too, with the same log up to the switch, so that past the switch the old timeline's one is not needed.
/// </summary>
/// <param name="History">The timeline's history; without ancestors for the first one.</param>
/// <param name="SegmentBytes">The cluster's segment size.</param>
public sealed record WalLine(TimelineHistory History, int SegmentBytes)
{
    /// <summary>The timeline that it leads to.</summary>
    public uint Timeline => History.Timeline;

    /// <summary>True when a base backup that was made on a timeline and is consistent at a position can be recovered to this one.</summary>
    public bool DescendsFrom(uint timeline, Lsn stop) =>
        timeline == Timeline || (History.SwitchFrom(timeline) is { } end && stop <= end);

    /// <summary>The segment that is read for a number.</summary>
    public WalSegment At(ulong number) => new(RangesFrom(number).First().Timeline, number, SegmentBytes);

    /// <summary>All segments from a number on; the last range has no end.</summary>
    public IEnumerable<WalRange> RangesFrom(ulong number)
    {
        var first = number;
        foreach (var ancestor in History.Ancestors)
        {
            var next = ancestor.End.Value / (ulong)SegmentBytes;
            if (next > first)
            {
                yield return new WalRange(ancestor.Timeline, first, next - 1);
                first = next;
            }
        }

        yield return new WalRange(Timeline, first, ulong.MaxValue);
    }
}
