using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Sees that what a set says of its files stays inside the data directory and its tablespaces, whoever wrote the set: encryption
/// proves that nobody read it, and not who made it.
/// </summary>
internal static class ContentPaths
{
    /// <summary>Refuses contents with a path that leaves the target, or that has no directory there.</summary>
    /// <exception cref="BackupException">There is one.</exception>
    public static void Ensure(string setId, PhysicalContents contents, ObjectRecord final)
    {
        BackupException Wrong(string how) => new(
            ErrorKind.Verification,
            $"the contents of set {setId} {how}; nothing was written",
            "see who can write to the store; use another set or copy: shbackup backup list");

        var directories = new HashSet<string> { string.Empty };
        foreach (var directory in contents.Directories)
        {
            if (!IsInside(directory) || !directories.Contains(Parent(directory)) || !directories.Add(directory))
            {
                throw Wrong($"name the directory '{directory}', which leaves the data directory, is named twice or has no parent");
            }
        }

        foreach (var file in contents.Files)
        {
            if (!IsInside(file.Path) || directories.Contains(file.Path) || !directories.Contains(Parent(file.Path)))
            {
                throw Wrong($"name the file '{file.Path}', which leaves the data directory, is a directory or has none");
            }
        }

        foreach (var space in contents.Tablespaces)
        {
            if (space.Oid == 0 || !IsAbsolute(space.Location) || !directories.Contains($"pg_tblspc/{space.Oid}"))
            {
                throw Wrong($"name the tablespace {space.Oid} at '{space.Location}', which is no place of one");
            }
        }

        if (contents.Tablespaces.DistinctBy(static t => t.Oid).Count() != contents.Tablespaces.Count)
        {
            throw Wrong("name a tablespace twice");
        }

        if (contents.OutsideFiles.FirstOrDefault(static f => !IsAbsolute(f)) is { } outside)
        {
            throw Wrong($"name the configuration file '{outside}', which is no absolute path");
        }

        if (contents.Files.FirstOrDefault(static f => f.Path == ControlFile.RelativePath)?.Object != final.Key)
        {
            throw Wrong($"have no {ControlFile.RelativePath} in {final.Key}");
        }
    }

    private static bool IsInside(string path) =>
        path.Length > 0 && !path.Contains('\0', StringComparison.Ordinal) && path.Split('/').All(static p => p is not ("" or "." or ".."));

    private static bool IsAbsolute(string path) => path.Length > 1 && path[0] == '/' && IsInside(path[1..]);

    private static string Parent(string path) => path.LastIndexOf('/') is var slash and > 0 ? path[..slash] : string.Empty;
}
