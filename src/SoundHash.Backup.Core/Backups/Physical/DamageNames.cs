using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>Finds the names of relations by their files, where a connection to their database can tell.</summary>
internal static class DamageNames
{
    private const int MostFiles = 50;
    private const int MostRanges = 20;
    private const uint GlobalTablespace = 1664;

    /// <summary>Names by path; a file whose relation nobody knows is not among them.</summary>
    public static async Task<IReadOnlyDictionary<string, string>> FindAsync(
        Session session, IReadOnlyList<DamagedPage> pages, CancellationToken cancel)
    {
        var names = new Dictionary<string, string>();
        var files = pages.Select(static p => p.Path).Distinct().Take(MostFiles).Select(static p => (Path: p, Place: PlaceOf(p)));
        foreach (var group in files.Where(static f => f.Place is not null).GroupBy(static f => f.Place!.Value.Database))
        {
            try
            {
                var database = group.Key == 0 ? session.Settings.Database : await session.TextAsync(
                    "SELECT datname::text FROM pg_database WHERE oid = $1::bigint::oid", cancel, (long)group.Key);
                await using var there = await Session.OpenAsync(session.Settings with { Database = database ?? string.Empty }, cancel);
                foreach (var (path, place) in group)
                {
                    var name = await there.TextAsync(
                        "SELECT pg_filenode_relation($1::bigint::oid, $2::bigint::oid)::regclass::text",
                        cancel,
                        (long)place!.Value.Tablespace,
                        (long)place.Value.Node);
                    if (name is not null)
                    {
                        names[path] = $"{name} of database \"{database}\"";
                    }
                }
            }
            catch (BackupException) when (!cancel.IsCancellationRequested)
            {
                // The path says enough to find out by hand.
            }
        }

        return names;
    }

    /// <summary>Block numbers in few words: 3, 7-9.</summary>
    public static string Ranges(IEnumerable<long> blocks)
    {
        var ranges = new List<(long First, long Last)>();
        foreach (var block in blocks.Order())
        {
            if (ranges.Count > 0 && ranges[^1].Last == block - 1)
            {
                ranges[^1] = (ranges[^1].First, block);
            }
            else
            {
                ranges.Add((block, block));
            }
        }

        var more = ranges.Count > MostRanges ? $", and {ranges.Count - MostRanges} more" : string.Empty;
        return string.Join(", ", ranges.Take(MostRanges).Select(static r => r.First == r.Last
            ? r.First.ToString(CultureInfo.InvariantCulture)
            : string.Create(CultureInfo.InvariantCulture, $"{r.First}-{r.Last}"))) + more;
    }

    private static (uint Tablespace, uint Database, uint Node)? PlaceOf(string path)
    {
        var parts = path.Split('/');
        if (RelationFile.TryParse(parts[^1]) is not { } file)
        {
            return null;
        }

        return parts switch
        {
            ["global", _] => (GlobalTablespace, 0, file.Node),
            ["base", var database, _] => (0, Number(database), file.Node),
            ["pg_tblspc", var tablespace, _, var database, _] => (Number(tablespace), Number(database), file.Node),
            _ => null,
        };
    }

    private static uint Number(string text) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}
