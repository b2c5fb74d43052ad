using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>What is at the place of a data directory that is to be made.</summary>
internal enum TargetContent
{
    /// <summary>Nothing; the directory above it is there.</summary>
    Missing,

    /// <summary>An empty directory.</summary>
    Empty,

    /// <summary>A directory with something in it.</summary>
    Filled,
}

/// <summary>The place of a data directory, looked at before anything is written.</summary>
/// <param name="Path">Absolute, without symbolic links.</param>
/// <param name="Content">What is there.</param>
/// <param name="Server">What is known of a server that works there.</param>
internal sealed record TargetDirectory(string Path, TargetContent Content, ServerSign Server)
{
    /// <summary>Looks at a place.</summary>
    /// <exception cref="BackupException">It can't be looked at, or its parent is missing, or it is in a directory of ours or has one in it.</exception>
    public static TargetDirectory Look(string path, OwnDirectories own)
    {
        try
        {
            var real = RealPath.OfNew(path);
            EnsureApart(real, own);
            return new TargetDirectory(real, ContentOf(real), ServerSign.Look(real));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Failed, $"can't look at {path}: {e.Message}", HintFor(path, e), e);
        }
    }

    private static string HintFor(string path, Exception e) =>
        e is UnauthorizedAccessException || e.Message.Contains("ermission denied", StringComparison.Ordinal)
            ? "run this as root or as the user that PostgreSQL is to run as"
            : File.Exists(path) ? "choose another --target-dir"
            : $"mkdir -p {System.IO.Path.GetDirectoryName(path)}, or choose another --target-dir";

    /// <summary>What is there, in words.</summary>
    public string State => (Content, Server) switch
    {
        (_, { Process: { } pid }) => string.Create(CultureInfo.InvariantCulture, $"is in use by process {pid}"),
        (TargetContent.Missing, _) => "does not exist",
        (TargetContent.Empty, _) => "is empty",
        _ => "is not empty",
    };

    /// <summary>Refuses a place that is in use, or that has something in it unless that is to be replaced.</summary>
    /// <exception cref="BackupException">It is.</exception>
    public void EnsureFree(bool mayBeFilled)
    {
        if (Server.Process is { } pid)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"{Path} is in use: process {pid} works there; nothing was changed",
                $"stop the server first (pg_ctl -D {Path} stop), or restore into another directory");
        }

        if (Content == TargetContent.Filled && mayBeFilled && Server.Doubt is { } doubt)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"{Path} may be in use: {doubt}; nothing was changed",
                $"stop its server if there is one; when surely none works there, on this machine, in a container or on another machine, remove "
                + $"{Path}/{ServerSign.File} and try again");
        }

        if (Content == TargetContent.Filled && !mayBeFilled)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"{Path} is not empty; nothing was changed",
                !File.Exists(System.IO.Path.Combine(Path, "PG_VERSION"))
                    ? "restore into a new directory, or an empty one; this one is no data directory"
                    : "restore into a new directory; or add --delta, which keeps what is unchanged, removes the rest, and first saves WAL of the old "
                + "data directory that the archive lacks");
        }
    }

    /// <summary>The bytes that are free there.</summary>
    public static long FreeBytes(string path)
    {
        var existing = path;
        while (!Directory.Exists(existing))
        {
            existing = System.IO.Path.GetDirectoryName(existing)!;
        }

        return new DriveInfo(existing).AvailableFreeSpace;
    }

    /// <summary>What is at a place, a link not followed.</summary>
    /// <exception cref="IOException">It is no directory, or its parent is missing.</exception>
    public static TargetContent ContentOf(string path)
    {
        if (LocalFiles.Look(path, follow: false) is { } found)
        {
            return found.Kind != FileKind.Directory ? throw new IOException("it is no directory")
                : Directory.EnumerateFileSystemEntries(path).Any() ? TargetContent.Filled : TargetContent.Empty;
        }

        var parent = System.IO.Path.GetDirectoryName(path);
        return Directory.Exists(parent) ? TargetContent.Missing : throw new IOException($"the directory {parent} does not exist");
    }

    private static void EnsureApart(string real, OwnDirectories own)
    {
        for (var above = System.IO.Path.GetDirectoryName(real); above is not null; above = System.IO.Path.GetDirectoryName(above))
        {
            if (File.Exists(System.IO.Path.Combine(above, "PG_VERSION")) && Directory.Exists(System.IO.Path.Combine(above, "global")))
            {
                throw new BackupException(
                    ErrorKind.Usage, $"{real} is inside {above}, which is a data directory itself", "restore into a directory apart from it");
            }
        }

        foreach (var (setting, directory) in own.All)
        {
            var other = RealPath.OfNew(directory);
            if (RealPath.IsWithin(real, other) || RealPath.IsWithin(other, real))
            {
                throw new BackupException(
                    ErrorKind.Usage,
                    $"{real} and {setting}={directory} are inside one another",
                    "restore into a directory apart from those of the backups");
            }
        }
    }
}
