using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

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
public sealed record RestorePlan(
    string SetId,
    string Database,
    string Tier,
    TimeSpan Age,
    IReadOnlyList<string> Copies,
    string Target,
    string TargetState,
    IReadOnlyList<string> Steps,
    long PlainBytes,
    long DatabaseBytes,
    long? FreeBytes,
    double ExpectedSeconds,
    string ExpectedFrom);

/// <summary>Space at the target.</summary>
public static class TargetSpace
{
    /// <summary>Free bytes where the server keeps its data; null when it is not on this machine or not to be seen.</summary>
    public static async Task<long?> FreeBytesAsync(Session session, CancellationToken cancel)
    {
        var host = session.Settings.Host;
        if (!host.StartsWith('/') && host is not ("localhost" or "127.0.0.1" or "::1"))
        {
            return null;
        }

        try
        {
            var directory = await session.TextAsync("SELECT current_setting('data_directory')", cancel);
            return directory is null || !Directory.Exists(directory) ? null : new DriveInfo(directory).AvailableFreeSpace;
        }
        catch (Exception e) when (e is BackupException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}

/// <summary>
/// Remembers how fast restores went on this machine, so that the next one's time can be told; without that the time of
/// the backup is all there is to go by.
/// </summary>
public sealed class RestorePace(string stateDirectory)
{
    private readonly string _path = Path.Combine(stateDirectory, "restore-pace");

    /// <summary>The expected time of a set's restore in seconds, and what that rests on.</summary>
    public (double Seconds, string From) Expect(Manifest manifest)
    {
        var plain = manifest.Objects.Sum(static o => o.PlainBytes);
        try
        {
            if (File.Exists(_path)
                && double.TryParse(File.ReadAllText(_path), CultureInfo.InvariantCulture, out var rate)
                && rate > 0)
            {
                return (plain / rate, "the last restore on this machine");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Only an estimate is lost.
            return ((manifest.Stopped - manifest.Started).TotalSeconds, "the time that the backup took");
        }

        return ((manifest.Stopped - manifest.Started).TotalSeconds, "the time that the backup took");
    }

    /// <summary>Remembers a restore. Failing to is no failure.</summary>
    public void Remember(Manifest manifest, RestoreOptions options, IEnumerable<RestorePhase> phases)
    {
        if (!options.IsWhole || options.DataOnly)
        {
            return;
        }

        var seconds = phases.Sum(static p => p.Seconds);
        var plain = manifest.Objects.Sum(static o => o.PlainBytes);
        // Small databases say more of start-up than of speed.
        if (plain < 16 * 1024 * 1024 || seconds <= 0)
        {
            return;
        }

        try
        {
            Directory.CreateDirectory(stateDirectory);
            File.WriteAllText(_path, (plain / seconds).ToString("0", CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }
    }
}
