namespace SoundHash.Backup.Storage.Local;

/// <summary>
/// Tells a store that is not there from one that is new: what is listed of a disk that is not mounted would be no sets, and what is written to it
/// would fill the disk below.
/// </summary>
/// <param name="root">The store's directory.</param>
/// <param name="name">The store's name.</param>
/// <param name="existing">A directory at or above the root that must be there, or null where the root may be made.</param>
internal sealed class StorePresence(string root, string name, string? existing)
{
    private readonly Lazy<IReadOnlyList<string>> _points = new(() => PointsAbove(root, "/etc/fstab"));

    /// <summary>Throws when it is not there.</summary>
    public void Ensure()
    {
        if (existing is not null && !Directory.Exists(existing))
        {
            throw new StorageException(
                $"{existing}, the directory of store {name}, does not exist",
                $"mount its disk (findmnt -T {existing}); when it is to be a new one, make it: mkdir -p {existing}");
        }

        EnsureMounted();
    }

    /// <summary>Throws when a mount point is there and its disk is not: what is below it is nothing of the store.</summary>
    public void EnsureMounted()
    {
        // A disk may come and go while we run.
        if (_points.Value.Count > 0 && UnmountedOf(_points.Value, "/proc/self/mountinfo") is { } point)
        {
            throw new StorageException(
                $"nothing is mounted on {point}, which /etc/fstab names for a mount point, so that {root}, the directory of store {name}, is not what it should be",
                $"mount {point}; when it is to be a directory of the disk below, take it out of /etc/fstab");
        }
    }

    /// <summary>The mount points at or above a directory that a table names, but "/"; none where that can't be told.</summary>
    /// <param name="directory">Absolute; it need not exist.</param>
    /// <param name="table">As fstab(5).</param>
    internal static IReadOnlyList<string> PointsAbove(string directory, string table)
    {
        try
        {
            var real = RealPath.OfNew(directory);
            return Fields(table, 1).Where(static p => p.Length > 1 && p[0] == '/').Select(static p => p.TrimEnd('/')).Where(p => RealPath.IsWithin(real, p)).ToList();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The first of some mount points on which nothing is mounted; null for none, or where that can't be told.</summary>
    /// <param name="points">Mount points.</param>
    /// <param name="mounted">As mountinfo in proc(5).</param>
    internal static string? UnmountedOf(IReadOnlyList<string> points, string mounted)
    {
        try
        {
            return points.Except(Fields(mounted, 4)).FirstOrDefault();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static IEnumerable<string> Fields(string path, int number) => File.ReadLines(path)
        .Where(static l => !l.TrimStart().StartsWith('#'))
        .Select(static l => l.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
        .Where(f => f.Length > number)
        .Select(f => f[number].Replace(@"\040", " ", StringComparison.Ordinal).Replace(@"\011", "\t", StringComparison.Ordinal).Replace(@"\134", @"\", StringComparison.Ordinal));
}
