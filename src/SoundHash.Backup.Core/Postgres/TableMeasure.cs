
namespace SoundHash.Backup.Postgres;

/// <summary>Rows of a table, and their hash when it was asked for.</summary>
/// <param name="Rows">Exact number of rows.</param>
/// <param name="Fingerprint">The hash, or null.</param>
public sealed record TableMeasureResult(long Rows, string? Fingerprint);

/// <summary>Counts and fingerprints a table; the same query on the source and on what was restored.</summary>
public static class TableMeasure
{
    // The order of columns is no part of a table's content: a column that a parent got after its children comes before
    // the children's own once it is restored. Generated columns are made anew by a restore, and no part of a backup.
    private const string ColumnsQuery =
        """
        SELECT coalesce(string_agg('x.' || quote_ident(attname), ', ' ORDER BY attname COLLATE "C"), '')
        FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        """;

    /// <summary>
    /// Measures one table without its children. The fingerprint is the sum over all rows of the 64-bit hash of the
    /// row's text, columns ordered by name, under the fixed output settings of <see cref="Session"/>: a sum, so that
    /// order does not matter and two equal rows don't cancel each other as with XOR. hashtextextended is stable across
    /// versions and platforms, since hash partitioning depends on it.
    /// </summary>
    public static async Task<TableMeasureResult> ReadAsync(
        Session session, string quotedTable, bool fingerprint, CancellationToken cancel)
    {
        var sql = fingerprint
            ? $"""
               SELECT count(*), coalesce(sum(hashtextextended(ROW({await session.TextAsync(ColumnsQuery, cancel, quotedTable)})::text
                   COLLATE "C", 0)), 0)::text FROM ONLY {quotedTable} AS x
               """
            : $"SELECT count(*), NULL::text FROM ONLY {quotedTable}";
        var rows = await session.QueryAsync(
            sql, static r => new TableMeasureResult(r.GetInt64(0), r.IsDBNull(1) ? null : $"sum64n:{r.GetString(1)}"), cancel);
        return rows[0];
    }
}
