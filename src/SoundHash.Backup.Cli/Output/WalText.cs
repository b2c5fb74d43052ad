using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Output;

/// <summary>The WAL archive in words.</summary>
internal static class WalText
{
    /// <summary>"segment X", or "segments X to Y (N)", and the time between their neighbours.</summary>
    public static string Of(WalGapResult gap)
    {
        var which = gap.Segments == 1 ? $"segment {gap.First}" : $"segments {gap.First} to {gap.Last} ({gap.Segments})";
        return $"{which}{Span(gap)}";
    }

    /// <summary>What is lost, as an error; null for what waits to be archived.</summary>
    public static BackupException? Problem(ulong system, WalFinding finding)
    {
        var which = Of(WalGapResult.Of(finding));
        return finding.State switch
        {
            WalGapState.Pending => null,
            WalGapState.OnServer => new BackupException(
                ErrorKind.Verification,
                $"the WAL of {system} has a gap: {which}; the server still has it in pg_wal",
                "shbackup wal-archive verify --repair"),
            _ => new BackupException(
                ErrorKind.Verification,
                $"the WAL of {system} has a gap: {which}",
                "shbackup wal-archive verify --repair fetches what is still in pg_wal; recovery past the gap needs a base backup that begins "
                + "after it: take one"),
        };
    }

    /// <summary>A missing history, as an error; null for one that waits to be archived.</summary>
    public static BackupException? Problem(ulong system, WalMissingHistory history)
    {
        var use = history.Segments > 0 ? $": without it, recovery can use none of the {history.Segments} archived segments of timeline {history.Timeline}"
            : $", without which recovery can't use what is archived of timeline {history.Timeline}";
        return history.State switch
        {
            WalGapState.Pending => null,
            WalGapState.OnServer => new BackupException(
                ErrorKind.Verification,
                $"{history.Name} is missing in the WAL of {system}{use}; the server still has it in pg_wal",
                "shbackup wal-archive verify --repair"),
            _ => new BackupException(
                ErrorKind.Verification,
                $"{history.Name} is missing in the WAL of {system}{use}",
                $"where a data directory of that cluster still has it, go there, as the user that PostgreSQL runs as: shbackup wal-archive push pg_wal/{history.Name}"
                + "; then take a new physical backup"),
        };
    }

    /// <summary>A damaged file with a way out of it.</summary>
    public static BackupException Damage(WalFileName name, BackupException error, ServerWal? server, bool wasRepaired)
    {
        var isOnServer = server?.WalFiles?.Contains(name.Name) == true;
        var way = isOnServer && !wasRepaired
            ? "the server still has it in pg_wal: shbackup wal-archive verify --repair"
            : $"PostgreSQL has no copy that is surely the same: put {name} and {name}.sha256 back from another copy of the archive; where there is none, "
            + "recovery from the sets before it ends there: take a new physical backup at once (shbackup backup --kind physical)";
        return new BackupException(error.Kind, error.Message, way, error);
    }

    /// <summary>The summary of a timeline for a table.</summary>
    public static IReadOnlyList<string> Row(WalTimelineResult timeline) =>
    [
        $"{timeline.Timeline}",
        timeline.First ?? "-",
        timeline.Last ?? "-",
        $"{timeline.Segments}",
        Sizes.Bytes(timeline.StoredBytes),
        (timeline.Parent, timeline.History) switch
        {
            ({ } parent, _) => $"from {parent} at {timeline.SwitchLsn}",
            (_, not null) => $"{timeline.History} can't be read",
            _ => string.Empty,
        },
    ];

    public static string[] Header { get; } = ["TIMELINE", "FIRST SEGMENT", "LAST SEGMENT", "SEGMENTS", "STORED", "ORIGIN"];

    private static string Span(WalGapResult gap) => (gap.After, gap.Before) switch
    {
        // Several are archived at once, so that the later one may have been there first.
        ({ } after, { } before) when after > before => $", stored between {Sizes.Time(before)} and {Sizes.Time(after)}",
        ({ } after, { } before) => $", stored between {Sizes.Time(after)} and {Sizes.Time(before)}",
        ({ } after, null) => $", after {Sizes.Time(after)}",
        (null, { } before) => $", before {Sizes.Time(before)}",
        _ => string.Empty,
    };
}
