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
    private readonly Lazy<string?> _unmounted = new(() => UnmountedAbove(root, "/etc/fstab", "/proc/self/mountinfo"));

    /// <summary>Throws when it is not there.</summary>
    public void Ensure()
    {
        if (existing is not null && !Directory.Exists(existing))
        {
            throw new StorageException(
                $"{existing}, the directory of store {name}, does not exist",
                $"mount its disk (findmnt -T {existing}); when it is to be a new one, make it: mkdir -p {existing}");
        }

        if (_unmounted.Value is { } point)
        {
            throw new StorageException(
                $"nothing is mounted on {point}, which /etc/fstab names for a mount point, so that {root}, the directory of store {name}, is not what it should be",
                $"mount {point}; when it is to be a directory of the disk below, take it out of /etc/fstab");
        }
    }

    /// <summary>The mount point at or above a directory that a table names and where nothing is mounted; null for none, or where that can't be told.</summary>
    /// <param name="directory">Absolute; it need not exist.</param>
    /// <param name="table">As fstab(5).</param>
    /// <param name="mounted">As mountinfo in proc(5).</param>
    internal static string? UnmountedAbove(string directory, string table, string mounted)
    {
        try
        {
            var real = RealPath.OfNew(directory);
            var above = Fields(table, 1).Where(p => p.Length > 1 && p[0] == '/' && RealPath.IsWithin(real, p.TrimEnd('/'))).ToList();
            return above.Count == 0 ? null : above.Select(static p => p.TrimEnd('/')).Except(Fields(mounted, 4)).FirstOrDefault();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static IEnumerable<string> Fields(string path, int number) => File.ReadLines(path)
        .Where(static l => !l.StartsWith('#'))
        .Select(static l => l.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
        .Where(f => f.Length > number)
        .Select(f => f[number].Replace(@"\040", " ", StringComparison.Ordinal).Replace(@"\011", "\t", StringComparison.Ordinal).Replace(@"\134", @"\", StringComparison.Ordinal));
}
