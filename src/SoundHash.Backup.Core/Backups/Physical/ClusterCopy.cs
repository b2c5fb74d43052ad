using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>What came of copying a cluster's files.</summary>
internal sealed record CopiedCluster
{
    /// <summary>Volumes, in the order of their names.</summary>
    public required IReadOnlyList<StoredVolume> Volumes { get; init; }

    /// <summary>As in <see cref="PhysicalContents"/>.</summary>
    public required IReadOnlyList<string> Directories { get; init; }

    /// <summary>As in <see cref="PhysicalContents"/>.</summary>
    public required IReadOnlyList<TablespaceRecord> Tablespaces { get; init; }

    /// <summary>global/pg_control, read after everything else.</summary>
    public required byte[] ControlFile { get; init; }

    /// <summary>Configuration outside the data directory.</summary>
    public required IReadOnlyList<(string Path, byte[] Bytes)> OutsideFiles { get; init; }

    /// <summary>What the backup ended with.</summary>
    public required BackupEnd End { get; init; }

    /// <summary>Damaged pages.</summary>
    public required IReadOnlyList<DamagedPage> Damaged { get; init; }
}

/// <summary>A way to a cluster's files: into volumes of a set, in backup mode.</summary>
internal interface IClusterCopy
{
    /// <summary>Objects written at once.</summary>
    int Streams { get; }

    /// <summary>Copies everything; when it returns, backup mode is over.</summary>
    Task<CopiedCluster> CopyAsync(SetWriter set, CancellationToken cancel);

    /// <summary>SHA-256 of a file of WAL that the server itself has, lower-case hex; null when it has it no more, or we may not see it.</summary>
    Task<string?> HashWalAsync(WalFileName name, CancellationToken cancel);
}
