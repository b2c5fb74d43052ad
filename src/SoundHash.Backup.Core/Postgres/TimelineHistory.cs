using System.Globalization;

namespace SoundHash.Backup.Postgres;

/// <summary>One line of a history file: a timeline that ended.</summary>
/// <param name="Timeline">The timeline.</param>
/// <param name="End">Where the next one branched off.</param>
/// <param name="Reason">PostgreSQL's words for why.</param>
public sealed record TimelineSwitch(uint Timeline, Lsn End, string Reason);

/// <summary>Where a timeline comes from (src/backend/access/transam/timeline.c).</summary>
/// <param name="Timeline">The timeline that it is the history of.</param>
/// <param name="Ancestors">Its ancestors, the oldest first.</param>
public sealed record TimelineHistory(uint Timeline, IReadOnlyList<TimelineSwitch> Ancestors)
{
    /// <summary>The file's name.</summary>
    public string FileName => NameOf(Timeline);

    /// <summary>The name of a timeline's history file; timeline 1 has none.</summary>
    public static string NameOf(uint timeline) => string.Create(CultureInfo.InvariantCulture, $"{timeline:X8}.history");

    /// <summary>
    /// Reads a history file. A copy that was promoted at a position before the branch of the timeline that it followed has a file in
    /// which an ancestor ends after the one that came from it: PostgreSQL goes by the youngest that covers a position
    /// (tliOfPointInHistory, timeline.c), so that every ancestor ends, at the latest, where a younger one does.
    /// </summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static TimelineHistory Parse(uint timeline, string text)
    {
        var ancestors = new List<TimelineSwitch>();
        foreach (var line in text.Split('\n').Select(static l => l.Trim()).Where(static l => l.Length > 0 && l[0] != '#'))
        {
            var parts = line.Split([' ', '\t'], 3, StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length < 2
                || !uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var parent)
                || !Lsn.TryParse(parts[1], out var end)
                || parent >= timeline
                || (ancestors.Count > 0 && parent <= ancestors[^1].Timeline))
            {
                throw new FormatException($"line '{line}' makes no sense in {NameOf(timeline)}");
            }

            ancestors.Add(new TimelineSwitch(parent, end, parts.Length > 2 ? parts[2] : string.Empty));
        }

        for (var i = ancestors.Count - 2; i >= 0; i--)
        {
            ancestors[i] = ancestors[i] with { End = ancestors[i + 1].End < ancestors[i].End ? ancestors[i + 1].End : ancestors[i].End };
        }

        return new TimelineHistory(timeline, ancestors);
    }

    /// <summary>Where this line of descent left an ancestor; null for a timeline that is none.</summary>
    public Lsn? SwitchFrom(uint ancestor) => Ancestors.FirstOrDefault(a => a.Timeline == ancestor)?.End;

    /// <summary>The timeline of this line of descent whose log holds the byte at a position.</summary>
    public uint TimelineAt(Lsn position) => Ancestors.FirstOrDefault(a => position < a.End)?.Timeline ?? Timeline;
}
