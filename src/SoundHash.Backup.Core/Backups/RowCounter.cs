using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>
/// Counts the rows of every table, beside the streams and in the session that holds the locks: another one would have to
/// lock each table again. It would queue behind a TRUNCATE that waits for us, we would wait for it, and the server would see
/// no deadlock in that.
/// </summary>
/// <param name="session">The session in its transaction, used by nobody else meanwhile.</param>
/// <param name="fingerprint">True hashes every table's rows too.</param>
/// <param name="log">Told of what could not be counted.</param>
internal sealed class RowCounter(Session session, bool fingerprint, ILogger log)
{
    public async Task<IReadOnlyList<TableRecord>> CountAsync(IReadOnlyList<Relation> relations, CancellationToken cancel)
    {
        var records = new List<TableRecord>(relations.Count);
        foreach (var relation in relations)
        {
            var measure = relation switch
            {
                { IsCompared: true } => await TableMeasure.ReadAsync(session, relation.Sql, fingerprint, cancel),
                { Kind: RelationKind.Table or RelationKind.MaterializedView } => await TryMeasureAsync(relation, cancel),
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

        return records;
    }

    // Recorded, not judged: it is not locked, may be unpopulated or unreadable, and none of that fails the backup.
    private async Task<TableMeasureResult?> TryMeasureAsync(Relation relation, CancellationToken cancel)
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
