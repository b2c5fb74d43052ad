using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Wal;

/// <summary>What PostgreSQL has marked as ready to be archived (src/backend/postmaster/pgarch.c).</summary>
/// <param name="Histories">Timeline histories, in order.</param>
/// <param name="Segments">Whole segments, in order.</param>
/// <param name="Names">All names, of whatever kind.</param>
internal sealed record ReadySegments(
    IReadOnlyList<WalFileName> Histories, IReadOnlyList<WalFileName> Segments, IReadOnlySet<string> Names)
{
    private const string Suffix = ".ready";

    public static ReadySegments Of(DataDirectory data)
    {
        var names = Directory.EnumerateFiles(data.ArchiveStatusFolder, $"*{Suffix}")
            .Select(static p => Path.GetFileName(p)[..^Suffix.Length])
            .Order(StringComparer.Ordinal)
            .ToList();
        var files = names.Select(WalFileName.TryParse).OfType<WalFileName>().ToList();
        return new ReadySegments(
            files.Where(static f => f.Kind == WalFileKind.TimelineHistory).ToList(),
            files.Where(static f => f.Kind == WalFileKind.Segment).ToList(),
            names.ToHashSet());
    }

    /// <summary>Segments that PostgreSQL will ask for after one, the next one first.</summary>
    public IEnumerable<WalFileName> Behind(WalFileName name) => Segments.Where(s => string.CompareOrdinal(s.Name, name.Name) > 0);
}

/// <summary>Paths in a data directory.</summary>
internal static class WalPaths
{
    public static string PathOf(this DataDirectory data, WalFileName name) => Path.Combine(data.WalFolder, name.Name);

    public static string ReadyMarkOf(this DataDirectory data, WalFileName name) =>
        Path.Combine(data.ArchiveStatusFolder, $"{name}.ready");
}
