using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>Counts the rows of every table in the snapshot, in a session of its own beside the streams.</summary>
internal sealed class RowCounter(ConnectionSettings settings, string snapshot, bool fingerprint, ILogger log)
{
    public async Task<IReadOnlyList<TableRecord>> CountAsync(IReadOnlyList<Relation> relations, CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(settings, cancel);
        await session.ExecuteAsync("SET row_security = off", cancel);
        await session.ExecuteAsync("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", cancel);
        await session.ExecuteAsync($"SET TRANSACTION SNAPSHOT {SqlText.Literal(snapshot)}", cancel);
        var records = new List<TableRecord>(relations.Count);
        foreach (var relation in relations)
        {
            var measure = relation switch
            {
                { IsCompared: true } => await TableMeasure.ReadAsync(session, relation.Sql, fingerprint, cancel),
                { Kind: RelationKind.Table or RelationKind.MaterializedView } => await TryMeasureAsync(session, relation, cancel),
                _ => null,
            };
            records.Add(new TableRecord
            {
                Schema = relation.Schema,
                Name = relation.Name,
                Kind = relation.Kind,
                OfExtension = relation.OfExtension,
                Rows = measure?.Rows,
                Fingerprint = measure?.Fingerprint,
            });
        }

        await session.ExecuteAsync("COMMIT", cancel);
        return records;
    }

    // Recorded, not judged: it is not locked, may be unpopulated or unreadable, and none of that fails the backup.
    private async Task<TableMeasureResult?> TryMeasureAsync(Session session, Relation relation, CancellationToken cancel)
    {
        await session.ExecuteAsync("SAVEPOINT one; SET LOCAL lock_timeout = 1000", cancel);
        try
        {
            var measure = await TableMeasure.ReadAsync(session, relation.Sql, fingerprint: false, cancel);
            await session.ExecuteAsync("SET LOCAL lock_timeout = 0; RELEASE SAVEPOINT one", cancel);
            return measure;
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Debug("rows of {Relation} are not recorded: {Message}", relation.Sql, e.Message);
            await session.ExecuteAsync("ROLLBACK TO SAVEPOINT one", cancel);
            return null;
        }
    }
}
