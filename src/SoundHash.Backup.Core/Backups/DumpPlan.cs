using System.Globalization;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>One pg_dump whose output becomes one object.</summary>
/// <param name="Name">The object's plain name.</param>
/// <param name="Role">What it is.</param>
/// <param name="Arguments">What this pg_dump is to leave in.</param>
/// <param name="Table">The table that it holds alone, or null.</param>
/// <param name="StartsFirst">It locks every table, and so must not begin late (see <see cref="DumpQueue"/>).</param>
/// <param name="EstimatedBytes">For the order of work: the longest first.</param>
internal sealed record DumpStream(
    string Name, ObjectRole Role, IReadOnlyList<string> Arguments, Relation? Table, bool StartsFirst, long EstimatedBytes);

/// <summary>
/// Splits a database into streams that pg_dump itself cuts: definitions, one for each big table, one for everything
/// small with sequences and large objects, and what comes after the data.
/// </summary>
internal static class DumpPlan
{
    /// <summary>Tables above this many bytes get a stream of their own.</summary>
    public const long BigTableBytes = 64L * 1024 * 1024;

    public static IReadOnlyList<DumpStream> Make(SnapshotSession snapshot, string encoding, int jobs)
    {
        var big = jobs > 1
            ? snapshot.Relations.Where(r => r.IsCompared && SizeOf(snapshot, r) > BigTableBytes && CanBeNamed(r, encoding))
                .OrderByDescending(r => SizeOf(snapshot, r)).ToList()
            : [];
        if (big.Count == 0)
        {
            return [new DumpStream("database.dump", ObjectRole.Dump, [], null, StartsFirst: true, snapshot.Sizes.Values.Sum())];
        }

        // pre-data, post-data and the rest of the data lock every table. Started late, they would queue behind the first schema
        // change that came in the meantime and waits for us, and the backup would fail at its end: so they start first.
        string[] rest = ["--section=data", .. big.Select(static r => $"--exclude-table-data={r.Sql}")];
        var small = snapshot.Sizes.Values.Sum() - big.Sum(r => SizeOf(snapshot, r));
        List<DumpStream> streams =
        [
            new("pre-data.dump", ObjectRole.PreData, ["--section=pre-data"], null, StartsFirst: true, 0),
            new("data-0000.dump", ObjectRole.Data, rest, null, StartsFirst: true, small),
            .. big.Select((r, i) => new DumpStream(
                string.Create(CultureInfo.InvariantCulture, $"data-{i + 1:0000}.dump"),
                ObjectRole.Data,
                ["--section=data", $"--table={r.Sql}"],
                r,
                StartsFirst: false,
                SizeOf(snapshot, r))),
            new("post-data.dump", ObjectRole.PostData, ["--section=post-data"], null, StartsFirst: true, 0),
        ];
        return streams;
    }

    // pg_dump takes a table's name in the encoding of the database, and a command line is UTF-8.
    private static bool CanBeNamed(Relation relation, string encoding) =>
        encoding == "UTF8" || (relation.Schema + relation.Name).All(char.IsAscii);

    private static long SizeOf(SnapshotSession snapshot, Relation relation) => snapshot.Sizes.GetValueOrDefault(relation.Oid);
}
