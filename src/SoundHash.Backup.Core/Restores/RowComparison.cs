using System.Collections.Concurrent;
using System.Globalization;
using System.Numerics;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>What comparing found.</summary>
/// <param name="Tables">How many tables were compared.</param>
/// <param name="Rows">Their rows.</param>
/// <param name="Fingerprints">How many of them also by fingerprint.</param>
/// <param name="Differences">What is not as recorded.</param>
internal sealed record ComparisonResult(int Tables, long Rows, int Fingerprints, IReadOnlyList<TableDifference> Differences)
{
    /// <summary>Nothing was compared.</summary>
    public static ComparisonResult Nothing => new(0, 0, 0, []);
}

/// <summary>Counts the restored tables and compares them with what the set recorded.</summary>
internal static class RowComparison
{
    private const string PartitionsQuery =
        """
        SELECT n.nspname::text, c.relname::text, pg_partition_root(c.oid)::regclass::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition AND c.relkind = 'r'
          AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a JOIN pg_partitioned_table p ON p.partrelid = a.relid WHERE p.partstrat = 'h')
        """;

    /// <exception cref="BackupException">The comparison itself failed: nothing is known of the tables then.</exception>
    public static async Task<ComparisonResult> RunAsync(
        ConnectionSettings database, IReadOnlyList<TableRecord> expected, int jobs, CancellationToken cancel)
    {
        var work = new ConcurrentQueue<TableRecord>(expected.Where(static t => t.IsCompared));
        var compared = new ConcurrentBag<ComparedTable>();
        var count = work.Count;
        async Task WorkAsync()
        {
            await using var session = await Session.OpenAsync(database, cancel);
            await session.ExecuteAsync("SET row_security = off", cancel);
            while (work.TryDequeue(out var table))
            {
                compared.Add(await CompareAsync(session, table, cancel));
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Math.Clamp(jobs, 1, Math.Max(count, 1))).Select(_ => WorkAsync()));
        var differing = compared.Where(static c => c.Problem is not null).ToList();
        if (differing.Count > 0)
        {
            differing = await WithoutMovedRowsAsync(database, compared, differing, cancel);
        }

        return new ComparisonResult(
            count,
            compared.Sum(static c => c.Found?.Rows ?? 0),
            compared.Count(static c => c.Expected.Fingerprint is not null),
            differing.Select(
                static c => new TableDifference(c.Name, c.Problem!)).OrderBy(static d => d.Table, StringComparer.Ordinal).ToList());
    }

    private static async Task<ComparedTable> CompareAsync(Session session, TableRecord table, CancellationToken cancel)
    {
        try
        {
            var found = await TableMeasure.ReadAsync(
                session,
                SqlText.Identifier(table.Schema, table.Name),
                table.Fingerprint is not null,
                cancel);
            var problem = found.Rows != table.Rows ? $"has {found.Rows} rows where {table.Rows} were backed up"
                : found.Fingerprint != table.Fingerprint ? $"has {found.Rows} rows as recorded, but their content differs"
                : null;
            return new ComparedTable(table, found, problem);
        }
        catch (BackupException e) when (e.IsOfStatement() && !cancel.IsCancellationRequested)
        {
            return new ComparedTable(table, null, e.Message);
        }
    }

    // Rows of a hash-partitioned table may come to lie in other partitions: where its key is an enum, whose hash is that
    // of an oid (src/bin/pg_dump/pg_dump.c, forcePartitionRootLoad). All partitions together must still hold the same.
    private static async Task<List<ComparedTable>> WithoutMovedRowsAsync(
        ConnectionSettings database, IReadOnlyCollection<ComparedTable> compared, List<ComparedTable> differing, CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(database, cancel);
        var partitions = await session.QueryAsync(
            PartitionsQuery, static r => (Schema: r.GetString(0), Name: r.GetString(1), Root: r.GetString(2)), cancel);
        var roots = partitions.ToDictionary(static p => (p.Schema, p.Name), static p => p.Root);
        var whole = compared.GroupBy(c => roots.GetValueOrDefault((c.Expected.Schema, c.Expected.Name)))
            .Where(static g => g.Key is not null && g.All(static c => c.Found is not null))
            .Where(static g => g.Sum(static c => c.Expected.Rows) == g.Sum(static c => c.Found!.Rows))
            .Where(static g => SumOf(g.Select(static c => c.Expected.Fingerprint)) == SumOf(g.Select(static c => c.Found!.Fingerprint)))
            .SelectMany(static g => g)
            .ToHashSet();
        return differing.Where(c => !whole.Contains(c)).ToList();
    }

    private static BigInteger SumOf(IEnumerable<string?> fingerprints) => fingerprints.OfType<string>()
        .Aggregate(BigInteger.Zero, static (sum, f) => sum + BigInteger.Parse(f[(f.LastIndexOf(':') + 1)..], CultureInfo.InvariantCulture));

    private sealed record ComparedTable(TableRecord Expected, TableMeasureResult? Found, string? Problem)
    {
        public string Name => SqlText.Identifier(Expected.Schema, Expected.Name);
    }
}
