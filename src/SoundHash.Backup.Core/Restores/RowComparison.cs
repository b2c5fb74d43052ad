using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>What comparing found.</summary>
/// <param name="Tables">How many tables were compared.</param>
/// <param name="Rows">Their rows.</param>
/// <param name="Fingerprints">How many of them also by fingerprint.</param>
/// <param name="Differences">What is not as recorded.</param>
internal sealed record ComparisonResult(int Tables, long Rows, int Fingerprints, IReadOnlyList<TableDifference> Differences);

/// <summary>Counts the restored tables and compares them with what the set recorded.</summary>
internal static class RowComparison
{
    public static async Task<ComparisonResult> RunAsync(
        ConnectionSettings database, IReadOnlyList<TableRecord> expected, int jobs, CancellationToken cancel)
    {
        var judged = expected.Where(static t => t.IsJudged).ToList();
        var differences = new List<TableDifference>();
        long rows = 0;
        var work = new System.Collections.Concurrent.ConcurrentQueue<TableRecord>(judged);
        async Task WorkAsync()
        {
            await using var session = await Session.OpenAsync(database, cancel);
            await session.ExecuteAsync("SET row_security = off", cancel);
            while (work.TryDequeue(out var table))
            {
                var (found, difference) = await CompareAsync(session, table, cancel);
                Interlocked.Add(ref rows, found);
                if (difference is not null)
                {
                    lock (differences)
                    {
                        differences.Add(difference);
                    }
                }
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Math.Clamp(jobs, 1, Math.Max(judged.Count, 1))).Select(_ => WorkAsync()));
        return new ComparisonResult(judged.Count, rows, judged.Count(static t => t.Fingerprint is not null), differences);
    }

    private static async Task<(long Rows, TableDifference? Difference)> CompareAsync(Session session, TableRecord table, CancellationToken cancel)
    {
        var name = SqlText.Identifier(table.Schema, table.Name);
        try
        {
            var found = await TableMeasure.ReadAsync(session, name, table.Fingerprint is not null, cancel);
            var problem = found.Rows != table.Rows ? $"has {found.Rows} rows where {table.Rows} were backed up"
                : found.Fingerprint != table.Fingerprint ? $"has {found.Rows} rows as recorded, but their content differs"
                : null;
            return (found.Rows, problem is null ? null : new TableDifference(name, problem));
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            return (0, new TableDifference(name, e.Message));
        }
    }
}
