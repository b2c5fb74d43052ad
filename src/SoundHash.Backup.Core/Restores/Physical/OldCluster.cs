using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Looks at what is in a directory before a set takes its place.</summary>
internal static class OldCluster
{
    /// <summary>Refuses a directory that is not surely an old or unfinished copy of the cluster.</summary>
    /// <exception cref="BackupException">It is not.</exception>
    public static RestoreMark? EnsureIs(string directory, ulong system, string serverVersion)
    {
        var mark = RestoreMark.Read(directory);
        var version = Path.Combine(directory, "PG_VERSION");
        var isControlled = File.Exists(Path.Combine(directory, ControlFile.RelativePath));
        if (mark is null && !File.Exists(version))
        {
            throw Refuse("is no data directory, and no unfinished restore");
        }

        // pg_control may be what was lost: then its WAL says whose it is, which must not be lost as well.
        if (mark is null && !isControlled && !IsWalOf(directory, system))
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"{directory} has no {ControlFile.RelativePath}, and its pg_wal does not say that it is of cluster {system}; --delta changes nothing there",
                $"keep {directory}/pg_wal, which may have WAL that no archive has, and restore into a new directory, without --delta");
        }

        if (isControlled && ControlFile.Read(directory).SystemIdentifier is var other && other != system)
        {
            throw Refuse(string.Create(CultureInfo.InvariantCulture, $"is a data directory of another cluster (system identifier {other}, the set's is {system})"));
        }

        if (mark is not null && mark.SystemIdentifier != system)
        {
            throw Refuse(string.Create(CultureInfo.InvariantCulture, $"is an unfinished restore of another cluster ({mark.SystemIdentifier})"));
        }

        var major = serverVersion.Split('.')[0];
        return mark is not null || File.ReadAllText(version).Trim() == major
            ? mark
            : throw Refuse($"is a data directory of PostgreSQL {File.ReadAllText(version).Trim()}, and the set of {major}");

        BackupException Refuse(string why) => new(
            ErrorKind.Failed, $"{directory} {why}; --delta changes nothing there", "restore into a new directory, without --delta");
    }

    private static bool IsWalOf(string directory, ulong system)
    {
        var folder = Path.Combine(directory, "pg_wal");
        var first = new byte[WalHeader.Bytes];
        var isOurs = false;
        foreach (var path in Directory.Exists(folder) ? Directory.GetFiles(folder) : [])
        {
            if (WalFileName.TryParse(Path.GetFileName(path)) is { Kind: WalFileKind.Segment })
            {
                using var file = File.OpenRead(path);
                if (file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false) == first.Length && WalHeader.TryRead(first) is { } header)
                {
                    if (header.SystemIdentifier != system)
                    {
                        return false;
                    }

                    isOurs = true;
                }
            }
        }

        return isOurs;
    }
}
