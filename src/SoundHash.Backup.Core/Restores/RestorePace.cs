using System.Globalization;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Remembers how fast restores went on this machine, so that the next one's time can be told; without that the time of
/// the backup is all there is to go by.
/// </summary>
public sealed class RestorePace(string stateDirectory)
{
    private readonly string _logical = Path.Combine(stateDirectory, "restore-pace");
    private readonly string _physical = Path.Combine(stateDirectory, "restore-pace-physical");

    /// <summary>The expected time of a set's restore in seconds, and what that rests on.</summary>
    public (double Seconds, string From) Expect(Manifest manifest)
    {
        return LastRate(PathOf(manifest)) is { } rate
            ? (manifest.PlainBytes / rate, "the last restore on this machine")
            : ((manifest.Stopped - manifest.Started).TotalSeconds, "the time that the backup took");
    }

    /// <summary>Remembers a restore. Failing to is no failure.</summary>
    public void Remember(Manifest manifest, RestoreOptions options, IEnumerable<RestorePhase> phases)
    {
        if (!options.IsPartial && !options.SchemaOnly)
        {
            Remember(manifest, phases);
        }
    }

    /// <summary>Remembers the restore of a whole set. Failing to is no failure.</summary>
    public void Remember(Manifest manifest, IEnumerable<RestorePhase> phases)
    {
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
            using var file = new StreamWriter(PathOf(manifest), ownerOnly);
            file.Write((plain / seconds).ToString("0", CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }
    }

    // Bytes a second; when it can't be read, only an estimate is lost.
    private static double? LastRate(string path)
    {
        try
        {
            return File.Exists(path) && double.TryParse(File.ReadAllText(path), CultureInfo.InvariantCulture, out var rate) && rate > 0
                ? rate
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private string PathOf(Manifest manifest) => manifest.Kind == SetKind.Physical ? _physical : _logical;
}
