using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Places outside of a data directory that a restore in place empties: pg_wal and tablespaces behind links. A plain copy of a data
/// directory still has the links of its original, and a server may work on that.
/// </summary>
internal static class LivePlaces
{
    /// <summary>Refuses places that a running server of another data directory has.</summary>
    /// <exception cref="BackupException">One does.</exception>
    public static void EnsureUnused(string dataDirectory, IReadOnlyList<TablespaceRecord> spaces)
    {
        var ours = spaces.Where(s => TablespacePlan.IsInPlace(dataDirectory, s)).Select(static s => s.Location)
            .Append(Path.Combine(dataDirectory, "pg_wal"))
            .Select(static p => (Path: p, Identity: LocalFiles.Identity(p)))
            .Where(static p => p.Identity is not null).ToList();
        foreach (var (pid, identity) in ServerSign.Servers().DistinctBy(static s => s.Place))
        {
            var theirs = identity == LocalFiles.Identity(dataDirectory) ? [] : PlacesOf(pid);
            if (ours.FirstOrDefault(p => theirs.Contains(p.Identity)) is { Path: { } path })
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    string.Create(CultureInfo.InvariantCulture, $"{path} of {dataDirectory} is also in use by process {pid}, a server of another data directory; nothing was changed"),
                    "restore into a new directory, with --tablespace OLD=NEW for each tablespace; or take the link away that leads there");
            }
        }
    }

    private static HashSet<(ulong Device, ulong Inode)?> PlacesOf(int pid)
    {
        var directory = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/cwd");
        var places = new HashSet<(ulong Device, ulong Inode)?>();
        try
        {
            foreach (var entry in Directory.GetFileSystemEntries(Path.Combine(directory, "pg_tblspc")).Append(Path.Combine(directory, "pg_wal")))
            {
                // The link says where the server finds it, who may have another root than we.
                var target = new FileInfo(entry).LinkTarget;
                places.Add(LocalFiles.Identity(target is null || !Path.IsPathRooted(target) ? entry
                    : string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/root{target}")));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended; or is another user's, who has no place of ours: PostgreSQL starts in directories of its own user alone.
        }

        return places;
    }
}
