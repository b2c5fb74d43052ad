using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>A relation of the database as the catalogue shows it.</summary>
/// <param name="Oid">Its oid.</param>
/// <param name="Schema">Its schema.</param>
/// <param name="Name">Its name.</param>
/// <param name="Kind">What it is.</param>
/// <param name="OfExtension">It belongs to an extension.</param>
/// <param name="OfConfiguration">It is an extension's configuration table: its rows are dumped, unlike those of its other tables.</param>
/// <param name="IsEmptyHere">It is unlogged and the server a standby: nobody can read it there, and pg_dump leaves its rows out.</param>
public sealed record Relation(
    long Oid, string Schema, string Name, RelationKind Kind, bool OfExtension, bool OfConfiguration = false, bool IsEmptyHere = false)
{
    /// <summary>Quoted schema and name.</summary>
    public string Sql => SqlText.Identifier(Schema, Name);

    /// <summary>True for what pg_dump locks and we lock before it.</summary>
    public bool NeedsLock => Kind is RelationKind.Table or RelationKind.Partitioned && (!OfExtension || OfConfiguration);

    /// <summary>True when a restore must have exactly its rows.</summary>
    public bool IsCompared => Kind is RelationKind.Table && !OfExtension && !IsEmptyHere;
}

/// <summary>Lists what pg_dump will look at.</summary>
internal static class RelationList
{
    private const string Query =
        $"""
        SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
               EXISTS (SELECT FROM pg_depend d
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
               EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)),
               c.relpersistence = 'u' AND pg_is_in_recovery()
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't'
          AND {SqlText.UserSchemas}
        ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
        """;

    private const string SizeQuery = "SELECT oid, pg_table_size(oid::oid) FROM unnest($1::bigint[]) AS oid";

    public static Task<IReadOnlyList<Relation>> ReadAsync(Session session, CancellationToken cancel) => session.QueryAsync(
        Query,
        static r => new Relation(
            r.GetInt64(0), r.GetString(1), r.GetString(2), Kind(r.GetString(3)), r.GetBoolean(4), r.GetBoolean(5), r.GetBoolean(6)),
        cancel);

    /// <summary>Bytes of each table with its TOAST, without indexes. The tables must be locked: this would wait otherwise.</summary>
    public static async Task<IReadOnlyDictionary<long, long>> ReadSizesAsync(
        Session session, IEnumerable<Relation> locked, CancellationToken cancel)
    {
        var oids = locked.Select(static r => r.Oid).ToArray();
        var rows = await session.QueryAsync(
            SizeQuery, static r => (Oid: r.GetInt64(0), Bytes: r.IsDBNull(1) ? 0 : r.GetInt64(1)), cancel, [oids]);
        return rows.ToDictionary(static r => r.Oid, static r => r.Bytes);
    }

    private static RelationKind Kind(string relkind) => relkind switch
    {
        "p" => RelationKind.Partitioned,
        "m" => RelationKind.MaterializedView,
        "f" => RelationKind.Foreign,
        _ => RelationKind.Table,
    };
}
