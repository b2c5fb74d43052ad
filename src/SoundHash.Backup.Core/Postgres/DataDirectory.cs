using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>A data directory as WAL commands see it: PostgreSQL runs them in it, and names files relative to it.</summary>
/// <param name="Path">Its path without symbolic links.</param>
/// <param name="SystemIdentifier">Its cluster.</param>
public sealed record DataDirectory(string Path, ulong SystemIdentifier)
{
    /// <summary>Its WAL.</summary>
    public string WalFolder => System.IO.Path.Combine(Path, "pg_wal");

    /// <summary>Where PostgreSQL says which segments wait to be archived.</summary>
    public string ArchiveStatusFolder => System.IO.Path.Combine(WalFolder, "archive_status");

    /// <summary>The data directory that a file is in pg_wal of; null when it is in none.</summary>
    /// <param name="walPath">What %p stands for, relative to the data directory or absolute.</param>
    public static DataDirectory? OfWalFile(string walPath)
    {
        var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(walPath));
        return System.IO.Path.GetFileName(folder) == "pg_wal" && System.IO.Path.GetDirectoryName(folder) is { } data
            && File.Exists(System.IO.Path.Combine(data, ControlFile.RelativePath))
            ? Open(data)
            : null;
    }

    /// <summary>Looks at a directory.</summary>
    /// <exception cref="BackupException">It is no data directory.</exception>
    public static DataDirectory Open(string path) => new(RealPath.Of(path), ControlFile.Read(path).SystemIdentifier);

    /// <summary>
    /// Makes sure that what is to outlive the data directory is not in it: PostgreSQL would take it for its own, and whoever
    /// loses the one loses the other.
    /// </summary>
    /// <param name="setting">The setting, for messages.</param>
    /// <param name="path">Absolute; it need not exist.</param>
    /// <exception cref="BackupException">It is inside.</exception>
    public void EnsureOutside(string setting, string path)
    {
        if (RealPath.IsWithin(RealPath.OfNew(path), Path))
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"{setting}={path} is inside the data directory {Path}",
                $"set {setting} to an absolute path elsewhere, on another disk if you can; PostgreSQL runs its commands in the data directory");
        }
    }
}
