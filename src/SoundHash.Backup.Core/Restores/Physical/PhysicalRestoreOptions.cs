namespace SoundHash.Backup.Restores.Physical;

/// <summary>How a base backup is restored.</summary>
public sealed record PhysicalRestoreOptions
{
    /// <summary>The data directory to make, absolute.</summary>
    public required string TargetDirectory { get; init; }

    /// <summary>The set by its id or the beginning of it; null for the newest that ended before the target.</summary>
    public string? SetId { get; init; }

    /// <summary>Where recovery ends.</summary>
    public required RecoveryTarget Target { get; init; }

    /// <summary>The timeline to follow; null for the newest that descends from the set.</summary>
    public uint? Timeline { get; init; }

    /// <summary>What the server does at its target.</summary>
    public RecoveryAction Action { get; init; }

    /// <summary>Keep what is there and unchanged, and remove what does not belong there.</summary>
    public bool Delta { get; init; }

    /// <summary>New directories of tablespaces, by name, oid or old directory.</summary>
    public IReadOnlyList<(string Old, string New)> Tablespaces { get; init; } = [];

    /// <summary>Start the server and follow it to its target.</summary>
    public bool Start { get; init; }

    /// <summary>The port of a started server; null for the one of its configuration.</summary>
    public int? Port { get; init; }

    /// <summary>The role to ask a started server as.</summary>
    public string Role { get; init; } = "postgres";

    /// <summary>The connection to the primary that the restored server is to be a standby of; or null.</summary>
    public string? Standby { get; init; }

    /// <summary>Leave archive_mode as it was.</summary>
    public bool KeepArchiving { get; init; }

    /// <summary>Absolute path of shbackup itself, for restore_command.</summary>
    public required string Program { get; init; }

    /// <summary>Absolute path of its settings, for restore_command, or null.</summary>
    public string? EnvironmentFile { get; init; }

    /// <summary>Absolute paths of the files that decryption needs, for restore_command too.</summary>
    public IReadOnlyList<string> KeyFiles { get; init; } = [];

    /// <summary>Directories of shbackup itself.</summary>
    public required OwnDirectories Own { get; init; }

    /// <summary>The store that WAL is fetched from, or null for all of them.</summary>
    public string? WalFrom { get; init; }

    /// <summary>Volumes at once.</summary>
    public int Jobs { get; init; } = 1;
}

/// <summary>Directories of shbackup itself, which no data directory may hold or be in.</summary>
/// <param name="Stores">Stores of the repository, with the settings that name them.</param>
/// <param name="Wal">Stores of the WAL archive, with the settings that name them.</param>
/// <param name="State">Locks.</param>
/// <param name="Spool">Acknowledgements and prefetched segments.</param>
public sealed record OwnDirectories(
    IReadOnlyList<(string Setting, string Directory)> Stores, IReadOnlyList<(string Setting, string Directory)> Wal, string State, string Spool)
{
    /// <summary>All of them, with the settings that name them.</summary>
    internal IEnumerable<(string Setting, string Directory)> All =>
    [
        .. Stores, .. Wal, ("BACKUP_STATE_DIR", State), ("BACKUP_SPOOL_DIR", Spool),
    ];
}

/// <summary>What a physical restore would do, for a person to look at before it is done.</summary>
/// <param name="SetId">The set.</param>
/// <param name="SetStarted">When it was begun.</param>
/// <param name="TargetDirectory">The data directory.</param>
/// <param name="TargetState">What is there now.</param>
/// <param name="Target">Where recovery would end.</param>
/// <param name="Timeline">The timeline that it follows.</param>
/// <param name="Window">What set and WAL reach.</param>
/// <param name="Steps">What would happen, in order.</param>
/// <param name="PlainBytes">Bytes to write.</param>
/// <param name="WalSegments">Segments to replay, at most.</param>
/// <param name="FreeBytes">Free space at the target.</param>
/// <param name="ExpectedSeconds">The expected time without the replay.</param>
/// <param name="ExpectedFrom">What the expectation rests on.</param>
public sealed record PhysicalRestorePlan(
    string SetId,
    DateTimeOffset SetStarted,
    string TargetDirectory,
    string TargetState,
    string Target,
    uint Timeline,
    string Window,
    IReadOnlyList<string> Steps,
    long PlainBytes,
    int WalSegments,
    long? FreeBytes,
    double ExpectedSeconds,
    string ExpectedFrom);

/// <summary>What a physical restore did.</summary>
/// <param name="SetId">The set.</param>
/// <param name="TargetDirectory">The data directory.</param>
/// <param name="Target">Where recovery ends.</param>
/// <param name="Timeline">The timeline that it follows.</param>
/// <param name="Files">Files of the data directory.</param>
/// <param name="FilesKept">How many of them were there and unchanged.</param>
/// <param name="FilesRemoved">What was there and did not belong there.</param>
/// <param name="Bytes">Bytes that were written.</param>
/// <param name="SavedWal">The folder with WAL that only the old data directory had; null when there was none.</param>
/// <param name="OutsideConfiguration">Where each configuration file from outside the data directory is now.</param>
/// <param name="Reached">What the started server reached; null when it was not started.</param>
/// <param name="NextSteps">What a person does next.</param>
/// <param name="Phases">Seconds of each phase, in order.</param>
public sealed record PhysicalRestoreResult(
    string SetId,
    string TargetDirectory,
    string Target,
    uint Timeline,
    int Files,
    int FilesKept,
    int FilesRemoved,
    long Bytes,
    string? SavedWal,
    IReadOnlyList<string> OutsideConfiguration,
    ReachedMoment? Reached,
    IReadOnlyList<string> NextSteps,
    IReadOnlyList<RestorePhase> Phases);

/// <summary>The moment that a started server reached.</summary>
/// <param name="State">What it does now, in words: it takes writes, pauses, is shut down, follows its primary.</param>
/// <param name="ReplayedLsn">The last position that was replayed, where it could be learnt.</param>
/// <param name="LastTransaction">The commit time of the last transaction that was replayed; or null where there was none.</param>
/// <param name="StoppedAt">PostgreSQL's own words of where it stopped, or null.</param>
public sealed record ReachedMoment(string State, string? ReplayedLsn, string? LastTransaction, string? StoppedAt);
