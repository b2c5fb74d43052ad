namespace SoundHash.Backup.Backups.Physical;

/// <summary>Divides files among volumes: big ones alone, small ones together in the order of their paths.</summary>
internal static class VolumePlan
{
    /// <summary>The most that small files come to in one volume.</summary>
    public const long MostBytes = 256L * 1024 * 1024;

    // Below this more volumes cost more than they save.
    private const long LeastBytes = 16L * 1024 * 1024;

    // So that the workers end at about the same time.
    private const int VolumesPerJob = 4;

    /// <summary>The volumes, the longest first.</summary>
    public static IReadOnlyList<IReadOnlyList<DataFile>> Make(IReadOnlyList<DataFile> files, int jobs)
    {
        var limit = Math.Clamp(files.Sum(static f => f.Size) / (jobs * VolumesPerJob), LeastBytes, MostBytes);
        var volumes = new List<(long Bytes, IReadOnlyList<DataFile> Files)>();
        volumes.AddRange(files.Where(f => f.Size >= limit).Select(static f => (f.Size, (IReadOnlyList<DataFile>)[f])));
        var open = new List<DataFile>();
        var bytes = 0L;
        foreach (var file in files.Where(f => f.Size < limit))
        {
            if (bytes + file.Size > limit && open.Count > 0)
            {
                volumes.Add((bytes, open));
                (open, bytes) = ([], 0);
            }

            open.Add(file);
            bytes += file.Size;
        }

        if (open.Count > 0)
        {
            volumes.Add((bytes, open));
        }

        return volumes.OrderByDescending(static v => v.Bytes).Select(static v => v.Files).ToList();
    }

    /// <summary>The plain name of a volume.</summary>
    public static string NameOf(int number) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"volume-{number:0000}.tar");
}
