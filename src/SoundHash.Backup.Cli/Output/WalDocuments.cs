using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Output;

/// <summary>The document of <c>wal-archive list</c>.</summary>
internal sealed record WalListDocument(
    string Directory, IReadOnlyList<WalClusterResult> Clusters, IReadOnlyList<ErrorResult> Errors, int ExitCode);

/// <summary>The archive of one cluster.</summary>
internal sealed record WalClusterResult(
    string SystemIdentifier,
    int SegmentBytes,
    IReadOnlyList<WalTimelineResult> Timelines,
    IReadOnlyList<WalGapResult> Gaps,
    IReadOnlyList<string> Problems,
    string? ReceivedLsn)
{
    public static WalClusterResult Of(WalCluster cluster)
    {
        var index = cluster.Wal.Index;
        return new WalClusterResult(
            WalLayout.SystemFolder(cluster.SystemIdentifier),
            index.SegmentBytes,
            index.Timelines.Select(t => WalTimelineResult.Of(index, t)).ToList(),
            cluster.Findings.Select(static f => WalGapResult.Of(f.Finding)).ToList(),
            cluster.Wal.Problems.Select(static p => p.Message).ToList(),
            cluster.Received?.End.ToString());
    }
}

/// <summary>What is archived of one timeline.</summary>
internal sealed record WalTimelineResult(
    uint Timeline, string? First, string? Last, int Segments, long StoredBytes, int OtherFiles, string? History, uint? Parent, string? SwitchLsn)
{
    public static WalTimelineResult Of(WalIndex index, uint timeline)
    {
        var segments = index.Of(timeline);
        var files = index.Entries.Where(e => e.Name.TimelineNumber == timeline).ToList();
        var origin = index.HistoryOf(timeline) is { Ancestors.Count: > 0 } history ? history.Ancestors[^1] : null;
        return new WalTimelineResult(
            timeline,
            segments.Count > 0 ? segments[0].Segment.Name : null,
            segments.Count > 0 ? segments[^1].Segment.Name : null,
            segments.Count,
            files.Sum(static f => f.StoredBytes),
            files.Count - segments.Count,
            files.Find(static f => f.Name.Kind == Postgres.WalFileKind.TimelineHistory)?.Name.Name,
            origin?.Timeline,
            origin?.End.ToString());
    }
}

/// <summary>Consecutive segments that are not in the archive.</summary>
internal sealed record WalGapResult(string First, string Last, ulong Segments, DateTimeOffset? After, DateTimeOffset? Before, string State)
{
    public static WalGapResult Of(WalFinding finding) => new(
        finding.Gap.First.Name,
        finding.Gap.Last.Name,
        finding.Gap.Count,
        finding.Gap.After,
        finding.Gap.Before,
        finding.State.Word());
}

/// <summary>The document of <c>wal-archive status</c>.</summary>
internal sealed record WalStatusDocument(
    IReadOnlyList<WalStatusResult> Clusters, string? ServerProblem, IReadOnlyList<ErrorResult> Errors, int ExitCode);

/// <summary>How the archive of one cluster stands.</summary>
internal sealed record WalStatusResult(
    string SystemIdentifier,
    WalServerResult? Server,
    string? LastSegment,
    DateTimeOffset? LastStored,
    double? AgeSeconds,
    long? LagBytes,
    double? LagSeconds,
    IReadOnlyList<WalWindowResult> Windows,
    IReadOnlyList<WalGapResult> Gaps,
    IReadOnlyList<string> Problems,
    string? ReceivedLsn,
    DateTimeOffset? ReceivedStored);

/// <summary>What the server says.</summary>
internal sealed record WalServerResult(
    uint Timeline,
    string Position,
    bool InRecovery,
    string ArchiveMode,
    bool ArchivesWithShbackup,
    int? Ready,
    string? LastArchived,
    DateTimeOffset? LastArchivedTime,
    string? LastFailed,
    DateTimeOffset? LastFailedTime,
    bool Failing);

/// <summary>Recovery to any moment between two.</summary>
internal sealed record WalWindowResult(
    string SetId, uint Timeline, string FromLsn, string ToLsn, DateTimeOffset FromTime, DateTimeOffset ToTime);

/// <summary>The document of <c>wal-archive verify</c>.</summary>
internal sealed record WalVerifyDocument(IReadOnlyList<WalVerifyResult> Clusters, IReadOnlyList<ErrorResult> Errors, int ExitCode);

/// <summary>What verifying the archive of one cluster found.</summary>
internal sealed record WalVerifyResult(
    string SystemIdentifier,
    int Files,
    int Read,
    int Stored,
    int Unread,
    IReadOnlyList<WalGapResult> Gaps,
    IReadOnlyList<string> Repaired,
    IReadOnlyList<string> Problems)
{
    /// <summary>Which one, when there are several stores.</summary>
    public string? Store { get; init; }
}

/// <summary>The document of <c>wal-archive cleanup</c>.</summary>
internal sealed record WalCleanupDocument(
    IReadOnlyList<WalCleanupItem> Clusters, bool DryRun, IReadOnlyList<ErrorResult> Errors, int ExitCode);

/// <summary>What becomes of the archive of one cluster.</summary>
internal sealed record WalCleanupItem(
    string SystemIdentifier, int RetentionDays, IReadOnlyList<WalRemovalItem> Removed, long RemovedBytes, int Kept, IReadOnlyList<WalKeptItem> KeptFor)
{
    /// <summary>Which one, when there are several stores.</summary>
    public string? Store { get; init; }
}

/// <summary>A file that goes, and why.</summary>
internal sealed record WalRemovalItem(string Name, long StoredBytes, DateTimeOffset Stored, string Reason);

/// <summary>How many files stay for a reason.</summary>
internal sealed record WalKeptItem(string Reason, int Files);
