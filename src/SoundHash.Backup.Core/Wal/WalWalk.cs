using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Wal;

/// <summary>Why segments between others are not in the archive.</summary>
public enum WalGapState
{
    /// <summary>They are nowhere that we could look at.</summary>
    Lost,

    /// <summary>The server still has them, and its archiver does not count on archiving them again.</summary>
    OnServer,

    /// <summary>They wait to be archived, or are on their way.</summary>
    Pending,
}

/// <summary>Segments that are not in the archive.</summary>
/// <param name="Gap">Which.</param>
/// <param name="State">Why.</param>
public sealed record WalFinding(WalGap Gap, WalGapState State);

/// <summary>A timeline whose history is not in the archive: recovery can use none of its segments without it.</summary>
/// <param name="Timeline">The timeline.</param>
/// <param name="Segments">How many segments of it are archived.</param>
/// <param name="State">Where else it is.</param>
public sealed record WalMissingHistory(uint Timeline, int Segments, WalGapState State)
{
    /// <summary>Its file name.</summary>
    public string Name => TimelineHistory.NameOf(Timeline);
}

/// <summary>The log of one timeline from where a base backup first needs it.</summary>
/// <param name="Chain">The segments.</param>
/// <param name="Set">The oldest base backup that leads there; null where none does, and the chain begins with what is there.</param>
/// <param name="Findings">What is not in the archive.</param>
public sealed record WalTimelineWalk(WalChain Chain, Manifest? Set, IReadOnlyList<WalFinding> Findings);

/// <summary>Walks the archive of a cluster: what should be there, and what is not.</summary>
/// <param name="wal">The archive.</param>
/// <param name="sets">The cluster's base backups.</param>
/// <param name="server">What the server says, or null when it can't be asked, or is of another cluster.</param>
/// <param name="now">The time.</param>
public sealed class WalWalk(LoadedWal wal, IReadOnlyList<Manifest> sets, ServerWal? server, DateTimeOffset now)
{
    // Several segments are archived at once, and a later one may be done first.
    private static readonly TimeSpan OnItsWay = TimeSpan.FromMinutes(1);

    /// <summary>All timelines that something is archived of, or should be: the server's, when its history is known.</summary>
    public IReadOnlyList<WalTimelineWalk> Timelines()
    {
        var index = wal.Index;
        var timelines = sets.Select(static s => s.Physical!.Timeline).Concat(index.Timelines.Where(t => index.Of(t).Count > 0))
            .Concat(server is not null && index.Timelines.Contains(server.Timeline) ? [server.Timeline] : [])
            .Distinct().Order().ToList();
        return timelines.Select(Walk).OfType<WalTimelineWalk>().ToList();
    }

    /// <summary>The histories that should be there and are not: of all timelines with segments or sets, and of the server's own.</summary>
    public IReadOnlyList<WalMissingHistory> MissingHistories()
    {
        var index = wal.Index;
        var there = index.Entries.Where(static e => e.Name.Kind == WalFileKind.TimelineHistory).Select(static e => e.Name.Name).ToHashSet();
        return index.Timelines.Where(t => index.Of(t).Count > 0)
            .Concat(sets.Select(static s => s.Physical!.Timeline))
            .Concat(server is not null ? [server.Timeline] : [])
            .Distinct().Order()
            .Where(t => t > 1 && !there.Contains(TimelineHistory.NameOf(t)))
            .Select(t => new WalMissingHistory(t, index.Of(t).Count, StateOf(TimelineHistory.NameOf(t))))
            .ToList();
    }

    private WalGapState StateOf(string history) =>
        server?.ReadyFiles?.Contains(history) == true ? WalGapState.Pending
        : server?.WalFiles?.Contains(history) == true ? WalGapState.OnServer
        : WalGapState.Lost;

    private WalTimelineWalk? Walk(uint timeline)
    {
        var index = wal.Index;
        var line = index.LineTo(timeline);
        var leading = sets.Where(s => line.DescendsFrom(s.Physical!.Timeline, s.Physical.Stop)).ToList();
        var set = leading.MinBy(static s => s.Physical!.FirstSegment.Number);
        if (set is null && index.Of(timeline).Count == 0)
        {
            return null;
        }

        ulong? through = leading.Count > 0 ? leading.Max(static s => s.Physical!.LastSegment.Number) : null;
        if (server?.Timeline == timeline && server.Current.Number > 0)
        {
            // The one that is written now can't be archived yet.
            through = Math.Max(through ?? 0, server.Current.Number - 1);
        }

        var first = set?.Physical!.FirstSegment ?? index.Of(timeline)[0].Segment;
        var chain = WalChain.Of(index, first, line, through);
        return new WalTimelineWalk(chain, set, chain.Gaps.SelectMany(g => Judge(g, timeline)).ToList());
    }

    // One gap may hold segments that wait and others that are lost: each run of a kind is a finding of its own.
    private List<WalFinding> Judge(WalGap gap, uint timeline)
    {
        if (gap.Count > 100_000)
        {
            return [new WalFinding(gap, WalGapState.Lost)];
        }

        var line = wal.Index.LineTo(timeline);
        var findings = new List<WalFinding>();
        for (var number = gap.First.Number; number <= gap.Last.Number; number++)
        {
            var segment = line.At(number);
            var state = StateOf(segment, gap);
            if (findings.Count > 0 && findings[^1].State == state)
            {
                findings[^1] = findings[^1] with { Gap = findings[^1].Gap with { Last = segment } };
            }
            else
            {
                findings.Add(new WalFinding(gap with { First = segment, Last = segment }, state));
            }
        }

        return findings;
    }

    private WalGapState StateOf(WalSegment segment, WalGap gap)
    {
        if (server?.ReadyFiles?.Contains(segment.Name) == true
            || (server?.Timeline == segment.Timeline && segment.Number >= server.Current.Number))
        {
            return WalGapState.Pending;
        }

        // Where the server can't be asked, what has just been overtaken may be on its way.
        if (server?.ReadyFiles is null && gap.Before is { } before && now - before < OnItsWay)
        {
            return WalGapState.Pending;
        }

        return server?.WalFiles?.Contains(segment.Name) == true ? WalGapState.OnServer : WalGapState.Lost;
    }
}
