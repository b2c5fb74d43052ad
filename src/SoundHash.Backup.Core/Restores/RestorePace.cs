using System.Globalization;
using System.Text;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

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
    public Task RememberAsync(Manifest manifest, RestoreOptions options, IEnumerable<RestorePhase> phases) =>
        options.IsPartial || options.SchemaOnly ? Task.CompletedTask : RememberAsync(manifest, phases);

    /// <summary>Remembers the restore of a whole set. Failing to is no failure.</summary>
    public async Task RememberAsync(Manifest manifest, IEnumerable<RestorePhase> phases)
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
            LocalFiles.MakeOwnDirectories(stateDirectory);
            // In the directory of another user a link may stand in its place, which is replaced and not followed.
            await using var file = new AtomicFile(PathOf(manifest), WriteMode.Replace, Owner, ofFolder: true);
            await file.WriteAsync(Encoding.ASCII.GetBytes((plain / seconds).ToString("0", CultureInfo.InvariantCulture)));
            await file.CompleteAsync(CancellationToken.None);
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
