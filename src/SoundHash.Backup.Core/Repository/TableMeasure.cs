using System.Globalization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository;

/// <summary>Rows of a table, and their hash when it was asked for.</summary>
/// <param name="Rows">Exact number of rows.</param>
/// <param name="Fingerprint">The hash, or null.</param>
public sealed record TableMeasureResult(long Rows, string? Fingerprint);

/// <summary>Counts and fingerprints a table; the same query on the source and on what was restored.</summary>
public static class TableMeasure
{
    /// <summary>
    /// Measures one table without its children. The fingerprint is the sum over all rows of the 64-bit hash of the
    /// row's text under the fixed output settings of <see cref="Session"/>: a sum, so that order does not matter and
    /// two equal rows don't cancel each other as with XOR. hashtextextended is stable across versions and platforms,
    /// since hash partitioning depends on it.
    /// </summary>
    public static async Task<TableMeasureResult> ReadAsync(Session session, string quotedTable, bool fingerprint, CancellationToken cancel)
    {
        // (x.*) is the row even where a column is called x.
        var sql = fingerprint
            ? $"SELECT count(*), coalesce(sum(hashtextextended((x.*)::text COLLATE \"C\", 0)), 0)::text FROM ONLY {quotedTable} AS x"
            : $"SELECT count(*), NULL::text FROM ONLY {quotedTable}";
        var rows = await session.QueryAsync(
            sql, static r => new TableMeasureResult(r.GetInt64(0), r.IsDBNull(1) ? null : r.GetString(1)), cancel);
        return rows[0] with { Fingerprint = rows[0].Fingerprint is { } sum ? string.Create(CultureInfo.InvariantCulture, $"sum64:{sum}") : null };
    }
}
