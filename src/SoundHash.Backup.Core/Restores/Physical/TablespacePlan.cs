using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Where each tablespace of a set goes.</summary>
internal static class TablespacePlan
{
    /// <summary>Places the tablespaces of a set.</summary>
    /// <param name="contents">The set's contents.</param>
    /// <param name="mappings">New directories by name, oid or old directory.</param>
    /// <param name="dataDirectory">The data directory to be.</param>
    /// <param name="own">Directories of ours.</param>
    /// <exception cref="BackupException">A mapping names none of them, or two places are inside one another.</exception>
    public static IReadOnlyList<TablespaceRecord> Make(
        PhysicalContents contents, IReadOnlyList<(string Old, string New)> mappings, string dataDirectory, OwnDirectories own)
    {
        var known = contents.Tablespaces;
        foreach (var (old, _) in mappings.Where(m => !known.Any(t => Is(t, m.Old))))
        {
            var names = string.Join(", ", known.Select(static t => $"{t.Name} ({t.Oid}, {t.Location})"));
            throw new BackupException(
                ErrorKind.Usage,
                $"the set has no tablespace '{old}'; it has {(known.Count == 0 ? "none outside the data directory" : names)}",
                "--tablespace OLD=NEW, where OLD is a name, an oid or the old directory");
        }

        var placed = known.Select(t => t with
        {
            Location = RealPath.OfNew(mappings.LastOrDefault(m => Is(t, m.Old)) is { New: { } place } ? place : t.Location),
        }).ToList();
        EnsureApart(placed, dataDirectory, own);
        return placed;
    }

    /// <summary>Refuses places that have something in them.</summary>
    /// <param name="placed">The tablespaces.</param>
    /// <param name="oldDirectory">A data directory that is restored in place, whose own tablespaces may be filled; or null.</param>
    /// <exception cref="BackupException">One does, or can't be looked at.</exception>
    public static void EnsureFree(IEnumerable<TablespaceRecord> placed, string? oldDirectory)
    {
        foreach (var space in placed.Where(s => oldDirectory is null || !IsInPlace(oldDirectory, s)))
        {
            if (Look(space) == TargetContent.Filled)
            {
                throw Refuse(space, "is not empty");
            }
        }
    }

    /// <summary>True when a data directory has its link to a tablespace, and that leads to its place.</summary>
    public static bool IsInPlace(string dataDirectory, TablespaceRecord space)
    {
        var link = Path.Combine(dataDirectory, "pg_tblspc", space.Oid.ToString(CultureInfo.InvariantCulture));
        return LocalFiles.Look(link, follow: false)?.Kind == FileKind.Link && Directory.Exists(link)
            && RealPath.Of(link) == space.Location;
    }

    private static TargetContent Look(TablespaceRecord space)
    {
        try
        {
            return TargetDirectory.ContentOf(space.Location);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Refuse(space, $"can't be used: {e.Message}");
        }
    }

    private static BackupException Refuse(TablespaceRecord space, string why) => new(
        ErrorKind.Failed,
        $"{space.Location}, the directory of tablespace {space.Name}, {why}; nothing was changed",
        $"--tablespace {space.Name}=NEW puts it into another directory");

    private static bool Is(TablespaceRecord space, string old) =>
        old == space.Name || old == space.Location || old == space.Oid.ToString(CultureInfo.InvariantCulture);

    private static void EnsureApart(IReadOnlyList<TablespaceRecord> placed, string dataDirectory, OwnDirectories own)
    {
        var others = own.All.Select(o => (Name: $"{o.Setting}={o.Directory}", Path: RealPath.OfNew(o.Directory)))
            .Append(("the data directory", dataDirectory)).ToList();
        foreach (var space in placed)
        {
            foreach (var (name, path) in others)
            {
                if (RealPath.IsWithin(space.Location, path) || RealPath.IsWithin(path, space.Location))
                {
                    throw new BackupException(
                        ErrorKind.Usage,
                        $"{space.Location}, the directory of tablespace {space.Name}, and {name} are inside one another",
                        $"--tablespace {space.Name}=NEW puts it into a directory apart");
                }
            }

            others.Add(($"the directory of tablespace {space.Name}", space.Location));
        }
    }
}
