using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// Directories of ours must be outside of the cluster that is backed up: every backup would hold all those before it, and whoever
/// loses the one loses the other.
/// </summary>
internal static class OwnPlaces
{
    /// <summary>Refuses a directory that is inside a data directory, as far as that can be told without a server.</summary>
    /// <param name="places">The directories, absolute, with the settings that name them; they need not exist.</param>
    /// <exception cref="BackupException">One is inside.</exception>
    public static void EnsureOutside(IEnumerable<(string Setting, string Directory)> places)
    {
        foreach (var (setting, directory) in places)
        {
            var real = RealPath.OfNew(directory);
            for (var above = real; above is not null; above = Path.GetDirectoryName(above))
            {
                if (File.Exists(Path.Combine(above, ControlFile.RelativePath)))
                {
                    throw Inside(setting, directory, $"the data directory {above}");
                }
            }
        }
    }

    /// <summary>Refuses a directory that is inside one that a data directory has a link to: a tablespace, pg_wal elsewhere.</summary>
    /// <param name="data">The data directory.</param>
    /// <param name="places">As above.</param>
    /// <exception cref="BackupException">One is inside.</exception>
    public static void EnsureNotLinked(DataDirectory data, IReadOnlyList<(string Setting, string Directory)> places)
    {
        foreach (var link in Links(data.Path).Concat(Links(Path.Combine(data.Path, "pg_tblspc"))))
        {
            var target = RealPath.Of(link);
            foreach (var (setting, directory) in places.Where(p => RealPath.IsWithin(RealPath.OfNew(p.Directory), target)))
            {
                throw Inside(setting, directory, $"{target}, which {link} in the data directory leads to");
            }
        }
    }

    private static IEnumerable<string> Links(string directory) => Directory.GetFileSystemEntries(directory).Where(static e =>
        LocalFiles.Look(e, follow: false)?.Kind == FileKind.Link && LocalFiles.Look(e, follow: true)?.Kind == FileKind.Directory);

    private static BackupException Inside(string setting, string directory, string what) => new(
        ErrorKind.Configuration, $"{setting}={directory} is inside {what}", $"set {setting} to an absolute path elsewhere, on another disk if you can");
}
