namespace SoundHash.Backup.Storage.Local;

/// <summary>The directories of a local store: made durably with their mode and group, listed whole, removed when empty.</summary>
/// <param name="root">The store's directory, absolute.</param>
/// <param name="store">The store's name in messages.</param>
/// <param name="mode">Their mode.</param>
/// <param name="group">Their group, or null.</param>
internal sealed class StoreFolders(string root, string store, UnixFileMode mode, uint? group)
{
    // Sets and timelines are two folders below the root, and have none of their own.
    private const int DeepestLink = 2;

    /// <summary>Makes a directory and those above it; durable when this returns.</summary>
    public void Make(string path)
    {
        if (Directory.Exists(path))
        {
            // One that nothing was put into yet may be that of a writer that was killed before it made it durable.
            if (path.Length > root.Length && !Directory.EnumerateFileSystemEntries(path).Any())
            {
                LocalFiles.SyncDirectory(Path.GetDirectoryName(path)!);
            }

            return;
        }

        var parent = Path.GetDirectoryName(path)!;
        Make(parent);
        LocalFiles.MakeDirectory(path, mode);
        LocalFiles.Protect(path, mode, group);
        FolderOwner.Take(path, keepGroup: group is not null);
        LocalFiles.SyncDirectory(parent);
    }

    /// <summary>Removes a directory and those above it, below the root, as far as they are empty.</summary>
    public void RemoveEmpty(string path)
    {
        while (path.Length > root.Length && LocalFiles.TryRemoveDirectory(path))
        {
            path = Path.GetDirectoryName(path)!;
        }
    }

    /// <summary>
    /// All files in a directory and below; none where it does not exist. Symbolic links are followed, as reading by name does:
    /// what a set needs would be removed when the set could not be seen. But a link to a directory where a set or timeline has
    /// none is listed as the link that it is: with the set, all that is behind it would be removed.
    /// </summary>
    /// <exception cref="IOException">It can't be looked into.</exception>
    /// <exception cref="StorageException">A file is in the place of a directory, or a symbolic link leads nowhere or in a circle.</exception>
    public List<FileInfo> Files(string start)
    {
        var files = new List<FileInfo>();
        if (IsDirectory(start))
        {
            var depth = start == root ? 0 : Path.GetRelativePath(root, start).Count(static c => c == '/') + 1;
            AddFiles(new DirectoryInfo(start), depth, files, [Identity(start)]);
        }

        return files;
    }

    private void AddFiles(DirectoryInfo folder, int depth, List<FileInfo> files, List<(ulong Device, ulong Inode)?> above)
    {
        var options = new EnumerationOptions { AttributesToSkip = 0, IgnoreInaccessible = false };
        try
        {
            foreach (var entry in folder.EnumerateFileSystemInfos("*", options))
            {
                var isLink = entry.Attributes.HasFlag(FileAttributes.ReparsePoint);
                if (isLink && entry is DirectoryInfo && depth >= DeepestLink)
                {
                    files.Add(new FileInfo(entry.FullName));
                    continue;
                }

                if (isLink && !IsUsable(entry.FullName, above))
                {
                    continue;
                }

                if (entry is FileInfo file)
                {
                    files.Add(file);
                }
                else
                {
                    AddFiles((DirectoryInfo)entry, depth + 1, files, [.. above, Identity(entry.FullName)]);
                }
            }
        }
        catch (DirectoryNotFoundException)
        {
            // Gone since we looked.
        }
    }

    // False for a link that is gone since it was listed.
    private bool IsUsable(string link, List<(ulong Device, ulong Inode)?> above)
    {
        if (LocalFiles.Look(link, follow: true) is { } target)
        {
            return !above.Contains((target.Device, target.Inode))
                ? true
                : throw new StorageException($"the symbolic link {link} in store {store} leads to a directory that it is in", "remove the link");
        }

        return LocalFiles.Look(link, follow: false) is null
            ? false
            : throw new StorageException(
                $"the symbolic link {link} in store {store} leads nowhere, so that it can't be told what is there",
                "see whether the disk that it leads to is mounted; remove the link when what was there is given up");
    }

    private static (ulong Device, ulong Inode)? Identity(string path) =>
        LocalFiles.Look(path, follow: true) is { } found ? (found.Device, found.Inode) : null;

    // False only when nothing has that name: what can't be looked into must not pass for an empty directory.
    private bool IsDirectory(string path)
    {
        for (var parent = path; parent is not null; parent = Path.GetDirectoryName(parent))
        {
            try
            {
                return File.GetAttributes(parent).HasFlag(FileAttributes.Directory)
                    ? parent == path
                    : throw new StorageException($"{parent} is a file where store {store} needs a directory", "correct BACKUP_DIR");
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
            {
                // Then one above it decides.
            }
        }

        return false;
    }
}
