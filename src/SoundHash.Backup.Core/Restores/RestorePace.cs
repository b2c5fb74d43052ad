using System.Globalization;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

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
        return LastRate() is { } rate
            ? (manifest.PlainBytes / rate, "the last restore on this machine")
            : ((manifest.Stopped - manifest.Started).TotalSeconds, "the time that the backup took");
    }

    /// <summary>Remembers a restore. Failing to is no failure.</summary>
    public void Remember(Manifest manifest, RestoreOptions options, IEnumerable<RestorePhase> phases)
    {
        if (options.IsPartial || options.SchemaOnly)
        {
            return;
        }

        var seconds = phases.Sum(static p => p.Seconds);
        var plain = manifest.PlainBytes;
        // Small databases say more of start-up than of speed.
        if (plain < 16 * 1024 * 1024 || seconds <= 0)
        {
            return;
        }

        try
        {
            const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            Directory.CreateDirectory(stateDirectory, Owner | UnixFileMode.UserExecute);
            var ownerOnly = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = Owner };
            using var file = new StreamWriter(_path, ownerOnly);
            file.Write((plain / seconds).ToString("0", CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }
    }

    // Bytes a second; when it can't be read, only an estimate is lost.
    private double? LastRate()
    {
        try
        {
            return File.Exists(_path) && double.TryParse(File.ReadAllText(_path), CultureInfo.InvariantCulture, out var rate) && rate > 0
                ? rate
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
