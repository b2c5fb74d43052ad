using System.Text.Json.Serialization;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Restores;

/// <summary>What a restore would do, for a person to look at before it is done.</summary>
/// <param name="SetId">The set.</param>
/// <param name="Database">The database that it holds.</param>
/// <param name="Tier">Its tier.</param>
/// <param name="Age">How old it is.</param>
/// <param name="Copies">The stores that hold it.</param>
/// <param name="Target">The name that the restored database is to have.</param>
/// <param name="TargetState">What is there now: missing, empty or has objects.</param>
/// <param name="Steps">What would happen, in order.</param>
/// <param name="PlainBytes">Bytes to load.</param>
/// <param name="DatabaseBytes">What the database took on its server.</param>
/// <param name="FreeBytes">Free space of the target's data directory, or null where it can't be seen from here.</param>
/// <param name="ExpectedSeconds">The expected time.</param>
/// <param name="ExpectedFrom">What the expectation rests on.</param>
/// <param name="Refusals">Why nothing would be done; empty when the restore would begin.</param>
public sealed record RestorePlan(
    string SetId,
    string Database,
    string Tier,
    [property: JsonIgnore] TimeSpan Age,
    IReadOnlyList<string> Copies,
    string Target,
    string TargetState,
    IReadOnlyList<string> Steps,
    long PlainBytes,
    long DatabaseBytes,
    long? FreeBytes,
    double ExpectedSeconds,
    string ExpectedFrom,
    [property: JsonIgnore] IReadOnlyList<BackupException> Refusals)
{
    /// <summary>How old the set is.</summary>
    public double AgeSeconds => Age.TotalSeconds;

    /// <summary>Why nothing would be done, a line each; empty when the restore would begin.</summary>
    public IReadOnlyList<string> Problems => Refusals.Select(static r => r.Message).ToList();
}
