using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>Where recovery can go from a base backup along one line.</summary>
/// <param name="Timeline">The timeline that the line leads to.</param>
/// <param name="From">Where the base backup is consistent.</param>
/// <param name="To">The end of the log that is there without a gap.</param>
/// <param name="FromTime">When the base backup ended.</param>
/// <param name="ToTime">When the last segment of that log was stored: a little after the last moment that it holds.</param>
public sealed record WalReach(uint Timeline, Lsn From, Lsn To, DateTimeOffset FromTime, DateTimeOffset ToTime)
{
    /// <summary>
    /// The window of a set on each timeline that its log really leads to: without a gap before the timeline begins. Empty when
    /// what makes it consistent is missing.
    /// </summary>
    public static IReadOnlyList<WalReach> Of(WalIndex index, Manifest set)
    {
        var facts = set.Physical!;
        var found = new List<WalReach>();
        foreach (var timeline in index.DescendantsOf(facts))
        {
            var chain = index.ChainOf(facts, timeline);
            if (chain.EndOf(facts.Stop) is { } end && (timeline == facts.Timeline || chain.ContiguousEnd!.Value.Timeline == timeline))
            {
                found.Add(new WalReach(timeline, facts.Stop, end, set.Stopped, chain.ContiguousStored!.Value));
            }
        }

        return found;
    }
}
