namespace SoundHash.Backup.Repository;

/// <summary><c>repository.json</c>: what the repository is, and which clusters it has held.</summary>
/// <param name="FormatVersion">Format of the repository.</param>
/// <param name="Created">When it was made.</param>
/// <param name="Systems">PostgreSQL system identifiers, oldest first.</param>
public sealed record RepositoryRecord(int FormatVersion, DateTimeOffset Created, IReadOnlyList<SystemRecord> Systems);

/// <summary>A cluster that has been backed up here.</summary>
/// <param name="SystemIdentifier">PostgreSQL's system identifier.</param>
/// <param name="Since">When it was first seen.</param>
public sealed record SystemRecord(string SystemIdentifier, DateTimeOffset Since);

/// <summary>
/// <c>intent.json</c>: somebody writes this set. Instance, lock and host together say who: whoever holds that lock of that
/// state directory on that host knows that a writer of an older intent is gone.
/// </summary>
/// <param name="Instance">The identity of the writer's state directory.</param>
/// <param name="Lock">The name of the lock that the writer holds.</param>
/// <param name="Host">The writer's host.</param>
/// <param name="ProcessId">The writer's process id, for people.</param>
/// <param name="Since">When it began.</param>
/// <param name="WalFrom">
/// The position in the log (16/B374D848) from which on the set will need WAL, or <see cref="NoWal"/>. Absent while that is not
/// known, or where an older version writes: then a clean-up must take it to need all.
/// </param>
public sealed record IntentRecord(
    string Instance, string Lock, string Host, int ProcessId, DateTimeOffset Since, string? WalFrom = null)
{
    /// <summary>What <see cref="WalFrom"/> says of a set that needs none.</summary>
    public const string NoWal = "none";

    /// <summary>The intent of whoever holds a lock now.</summary>
    internal static IntentRecord Of(RunLock held, TimeProvider time) =>
        new(held.Instance, held.Name, Environment.MachineName, Environment.ProcessId, time.GetUtcNow());
}

/// <summary><c>keep.json</c>: the set is pinned.</summary>
/// <param name="Since">When.</param>
public sealed record KeepRecord(DateTimeOffset Since);

/// <summary><c>archive.json</c>: a cluster's WAL is archived here.</summary>
/// <param name="FormatVersion">Format of the archive.</param>
/// <param name="Created">When it was made.</param>
public sealed record WalArchiveRecord(int FormatVersion, DateTimeOffset Created);

/// <summary><c>removed.json</c>: what clean-ups removed from a cluster's archive, so that it does not pass for lost.</summary>
/// <param name="Ranges">Consecutive segments.</param>
public sealed record WalRemovedRecord(IReadOnlyList<WalRemovedRange> Ranges);

/// <summary>Consecutive segments of one timeline.</summary>
/// <param name="First">Name of the first.</param>
/// <param name="Last">Name of the last.</param>
public sealed record WalRemovedRange(string First, string Last)
{
    /// <summary>True for a segment of the range, and for what is named after one.</summary>
    public bool Covers(string name) =>
        // The names of one timeline's segments are in order.
        name.Length >= First.Length
        && string.CompareOrdinal(name[..First.Length], First) >= 0
        && string.CompareOrdinal(name[..Last.Length], Last) <= 0;
}
