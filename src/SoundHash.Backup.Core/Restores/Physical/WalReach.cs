using System.Globalization;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>The WAL that a recovery along one timeline finds without a gap.</summary>
/// <param name="Timeline">The timeline at its end.</param>
/// <param name="Segments">Its segments in order, each on the timeline that PostgreSQL reads it from.</param>
/// <param name="End">Where it ends.</param>
/// <param name="Missing">The first segment that is not there.</param>
/// <param name="Beyond">A segment of the same line of descent that is there after the missing one, or null.</param>
internal sealed record WalSpan(uint Timeline, IReadOnlyList<WalSegment> Segments, Lsn End, WalSegment Missing, WalSegment? Beyond);

/// <summary>What a WAL archive holds, as far as a recovery has to know it before it begins.</summary>
internal sealed class WalReach
{
    private readonly Dictionary<uint, HashSet<string>> _segments = [];
    private readonly Dictionary<uint, TimelineHistory> _histories = [];

    private WalReach(string store) => Store = store;

    /// <summary>The store's name.</summary>
    public string Store { get; }

    /// <summary>Lists an archive and reads its history files.</summary>
    public static async Task<WalReach> LoadAsync(
        WalArchive archive, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var reach = new WalReach(archive.StoreName);
        await foreach (var entry in archive.ListAsync(null, cancel))
        {
            var timeline = uint.Parse(entry.Name.Timeline, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            if (entry.Name.Kind == WalFileKind.Segment)
            {
                (reach._segments.TryGetValue(timeline, out var names) ? names : reach._segments[timeline] = []).Add(entry.Name.Name);
            }
            else if (entry.Name.Kind == WalFileKind.TimelineHistory)
            {
                reach._histories[timeline] = await ReadHistoryAsync(archive, timeline, entry.Name, providers, cancel);
            }
        }

        return reach;
    }

    /// <summary>Adds a segment that is not in the archive and that the recovery will find all the same.</summary>
    public void Add(WalSegment segment) =>
        (_segments.TryGetValue(segment.Timeline, out var names) ? names : _segments[segment.Timeline] = []).Add(segment.Name);

    /// <summary>True when a recovery from a set can follow a timeline: it is the set's, or left the set's own after its end.</summary>
    public bool Descends(uint timeline, PhysicalFacts set) =>
        timeline == set.Timeline || (_histories.TryGetValue(timeline, out var history) && history.SwitchFrom(set.Timeline) >= set.Stop);

    /// <summary>The newest timeline that descends from a set.</summary>
    public uint NewestDescendant(PhysicalFacts set) => _histories.Keys.Append(set.Timeline).Where(t => Descends(t, set)).Max();

    /// <summary>The timelines that descend from a set, in words.</summary>
    public string DescendantsOf(PhysicalFacts set) =>
        string.Join(", ", _histories.Keys.Append(set.Timeline).Where(t => Descends(t, set)).Distinct().Order());

    /// <summary>What a recovery from a set along a timeline finds.</summary>
    public WalSpan From(PhysicalFacts set, uint timeline)
    {
        var history = _histories.GetValueOrDefault(timeline) ?? new TimelineHistory(timeline, []);
        // Newest first, each with its first segment: the order in which XLogFileReadAnyTLI (xlogrecovery.c) looks for a file.
        var line = new List<(uint Timeline, ulong First, Lsn End)>();
        var begin = new Lsn(0);
        foreach (var ancestor in history.Ancestors)
        {
            line.Insert(0, (ancestor.Timeline, begin.Value / (ulong)set.WalSegmentBytes, ancestor.End));
            begin = ancestor.End;
        }

        line.Insert(0, (timeline, begin.Value / (ulong)set.WalSegmentBytes, new Lsn(ulong.MaxValue)));
        var found = new List<WalSegment>();
        for (var number = set.FirstSegment.Number; ; number++)
        {
            var candidates = line.Where(l => l.First <= number).ToList();
            var at = candidates.FindIndex(l => Has(new WalSegment(l.Timeline, number, set.WalSegmentBytes)));
            if (at >= 0)
            {
                found.Add(new WalSegment(candidates[at].Timeline, number, set.WalSegmentBytes));
            }

            if (at != 0)
            {
                var missing = new WalSegment(candidates[0].Timeline, number, set.WalSegmentBytes);
                // Of an older timeline's segment only what comes before the switch belongs to this line.
                var end = at < 0 ? missing.Start : new Lsn(Math.Min(missing.End.Value, candidates[at].End.Value));
                return new WalSpan(timeline, found, end, missing, Beyond(line, missing));
            }
        }
    }

    private bool Has(WalSegment segment) => _segments.TryGetValue(segment.Timeline, out var names) && names.Contains(segment.Name);

    private WalSegment? Beyond(IEnumerable<(uint Timeline, ulong First, Lsn End)> line, WalSegment missing) =>
        line.SelectMany(l => (_segments.GetValueOrDefault(l.Timeline) ?? [])
                .Select(n => WalSegment.TryParse(n, missing.SizeBytes, out var s) ? s : (WalSegment?)null)
                .OfType<WalSegment>()
                .Where(s => s.Number > missing.Number && s.Number >= l.First && s.Start < l.End))
            .OrderBy(static s => s.Number)
            .Cast<WalSegment?>()
            .FirstOrDefault();

    private static async Task<TimelineHistory> ReadHistoryAsync(
        WalArchive archive, uint timeline, WalFileName name, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        try
        {
            return TimelineHistory.Parse(timeline, await archive.ReadTextAsync(name, providers, cancel) ?? string.Empty);
        }
        catch (FormatException e)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{name} in store {archive.StoreName} can't be used: {e.Message}",
                "restore that file from another copy of the archive",
                e);
        }
    }
}
