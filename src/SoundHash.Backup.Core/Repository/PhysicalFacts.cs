using System.Text.Json.Serialization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository;

/// <summary>What the manifest says of a base backup beyond what every set has. Clear text: paths hold numbers, no names of tables.</summary>
public sealed record PhysicalFacts
{
    /// <summary>The timeline that it was made on.</summary>
    public required uint Timeline { get; init; }

    /// <summary>Where replay begins: the redo position of the backup's checkpoint, as 16/B374D848.</summary>
    public required string StartLsn { get; init; }

    /// <summary>Where it is consistent: every recovery must replay up to here.</summary>
    public required string StopLsn { get; init; }

    /// <summary>The cluster's WAL segment size in bytes.</summary>
    public required int WalSegmentBytes { get; init; }

    /// <summary>The next transaction id (64 bits, with epoch) when it began: what is older had ended or was running.</summary>
    public required ulong StartNextXid { get; init; }

    /// <summary>The same when it was done.</summary>
    public required ulong StopNextXid { get; init; }

    /// <summary>True when the cluster has page checksums, which were verified.</summary>
    public required bool PageChecksums { get; init; }

    /// <summary>Pages whose checksum was wrong, on the server and so here.</summary>
    public IReadOnlyList<DamagedPage> DamagedPages { get => field ?? []; init; } = []; // absent in JSON is null, whatever the initializer

    /// <summary>Files of the data directory and its tablespaces.</summary>
    public required int Files { get; init; }

    /// <summary><see cref="StartLsn"/> as a position.</summary>
    [JsonIgnore]
    public Lsn Start => Lsn.Parse(StartLsn);

    /// <summary><see cref="StopLsn"/> as a position.</summary>
    [JsonIgnore]
    public Lsn Stop => Lsn.Parse(StopLsn);

    /// <summary>The first segment that every recovery needs.</summary>
    [JsonIgnore]
    public WalSegment FirstSegment => WalSegment.Of(Timeline, Start, WalSegmentBytes);

    /// <summary>The last segment that every recovery needs.</summary>
    [JsonIgnore]
    public WalSegment LastSegment => WalSegment.Before(Timeline, Stop, WalSegmentBytes);

    /// <summary>The WAL files that every recovery needs: the timeline's history, then segments, the oldest first.</summary>
    [JsonIgnore]
    public IEnumerable<WalFileName> NeededWal
    {
        get
        {
            if (Timeline > 1)
            {
                yield return WalFileName.Parse(TimelineHistory.NameOf(Timeline));
            }

            for (var segment = FirstSegment; segment.Number <= LastSegment.Number; segment = segment.Next)
            {
                yield return WalFileName.Parse(segment.Name);
            }
        }
    }

    /// <summary>Why these facts can't be those of a base backup, or null.</summary>
    internal string? WhyImpossible() => this switch
    {
        { Timeline: 0 } => "its timeline is 0",
        _ when !WalSegment.IsSize(WalSegmentBytes) => $"its WAL segment size is {WalSegmentBytes}",
        _ when !Lsn.TryParse(StartLsn, out var start) || !Lsn.TryParse(StopLsn, out var stop) || stop <= start =>
            $"it begins at LSN '{StartLsn}' and ends at '{StopLsn}'",
        _ when DamagedPages.Any(static p => p is null) => "a damaged page in it is null",
        _ => null,
    };
}

/// <summary>A page whose checksum is wrong.</summary>
/// <param name="Path">Its file, relative to the data directory.</param>
/// <param name="Block">Its number in the file's relation, from 0: files after the first count on.</param>
public sealed record DamagedPage(string Path, long Block);
