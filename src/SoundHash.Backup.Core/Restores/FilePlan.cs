using System.Text.Json.Serialization;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Restores;

/// <summary>What a restore of a bare file would do, for a person to look at before it is done.</summary>
/// <param name="File">Its absolute path.</param>
/// <param name="Kind">What it is by its first bytes: custom, tar, directory or script.</param>
/// <param name="Encryption">How it is encrypted as a whole.</param>
/// <param name="Compression">How it is compressed as a whole.</param>
/// <param name="StoredBytes">What it takes on its disk.</param>
/// <param name="Database">The database that it holds; null where nothing tells, as of a script.</param>
/// <param name="ServerVersion">Of that database's server.</param>
/// <param name="DumpVersion">Of the pg_dump that made it.</param>
/// <param name="Dumped">When it was made, by the clock of the machine that made it.</param>
/// <param name="Target">The name that the restored database is to have.</param>
/// <param name="TargetState">What is there now: missing, empty, template or has objects.</param>
/// <param name="Steps">What would happen, in order.</param>
/// <param name="FreeBytes">Free space of the target's data directory, or null where it can't be seen from here.</param>
/// <param name="Refusals">Why nothing would be done; empty when the restore would begin.</param>
public sealed record FilePlan(
    string File,
    string Kind,
    string Encryption,
    string Compression,
    long StoredBytes,
    string? Database,
    string? ServerVersion,
    string? DumpVersion,
    string? Dumped,
    string Target,
    string TargetState,
    IReadOnlyList<string> Steps,
    long? FreeBytes,
    [property: JsonIgnore] IReadOnlyList<BackupException> Refusals)
{
    /// <summary>Why nothing would be done, a line each; empty when the restore would begin.</summary>
    public IReadOnlyList<string> Problems => Refusals.Select(static r => r.Message).ToList();
}
