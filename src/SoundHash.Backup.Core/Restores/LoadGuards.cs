using System.Text;
using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>
/// SQL around rows that are put into existing tables, in the same transaction: triggers of users must not fire for rows
/// that had fired them once, and foreign keys must be checked when all rows are there and not in between. Their states
/// and definitions are as before at the end, and the keys are checked in full.
/// </summary>
/// <param name="Before">To run before the rows.</param>
/// <param name="After">To run after them.</param>
internal sealed record LoadGuards(string Before, string After)
{
    // Up to version 14 a partition's copy of a trigger counts as internal; only a superuser may disable it there.
    private const string TriggersQuery =
        """
        SELECT t.tgrelid::regclass::text, quote_ident(t.tgname), t.tgenabled::text
        FROM pg_trigger t WHERE t.tgrelid = ANY ($1::bigint[]::oid[]) AND t.tgenabled <> 'D'
          AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
        ORDER BY 1, 2
        """;

    // The keys of partitions belong to those of their partitioned tables, and come and go with them.
    private const string KeysQuery =
        """
        WITH RECURSIVE up AS (
            SELECT c.oid, c.conparentid FROM pg_constraint c WHERE c.contype = 'f' AND c.conrelid = ANY ($1::bigint[]::oid[])
            UNION SELECT p.oid, p.conparentid FROM up k JOIN pg_constraint p ON p.oid = k.conparentid),
        tree AS (
            SELECT oid, oid AS root FROM up WHERE conparentid = 0
            UNION ALL SELECT c.oid, t.root FROM tree t JOIN pg_constraint c ON c.conparentid = t.oid)
        SELECT c.conrelid::regclass::text, quote_ident(c.conname), pg_get_constraintdef(c.oid),
               obj_description(c.oid, 'pg_constraint'), k.relkind = 'p', c.convalidated,
               (SELECT string_agg(DISTINCT t.tgname, ', ') FROM tree JOIN pg_trigger t ON t.tgconstraint = tree.oid
                WHERE tree.root = c.oid AND t.tgenabled <> 'O'),
               (SELECT string_agg(p.conrelid::regclass || ' ' || quote_ident(p.conname), ', ')
                FROM tree JOIN pg_constraint p ON p.oid = tree.oid
                WHERE tree.root = c.oid AND p.conrelid <> c.conrelid AND p.confrelid = c.confrelid
                  AND (p.conname <> c.conname OR obj_description(p.oid, 'pg_constraint') IS NOT NULL))
        FROM up JOIN pg_constraint c ON c.oid = up.oid JOIN pg_class k ON k.oid = c.conrelid
        WHERE c.conparentid = 0
        ORDER BY 1, 2
        """;

    // setval is never rolled back, but for a sequence that the transaction has changed: then it works on a copy. Those of
    // tables that are not filled stay free for others.
    private const string SequencesQuery =
        """
        SELECT s.seqrelid::regclass::text, s.seqcycle FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
            LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                AND d.refclassid = 'pg_class'::regclass
        WHERE c.relpersistence <> 't' AND pg_has_role(c.relowner, 'USAGE')
          AND (d.refobjid IS NULL OR d.refobjid = ANY ($1::bigint[]::oid[]))
        ORDER BY 1
        """;

    /// <summary>For psql, whose encoding is that of the database, or of the archive before.</summary>
    public const string InUtf8 = "SET client_encoding = 'UTF8';\n";

    /// <summary>Nothing to do.</summary>
    public static LoadGuards None => new(string.Empty, string.Empty);

    /// <summary>Reads what stands on the tables.</summary>
    /// <param name="database">The database.</param>
    /// <param name="tables">The tables that are to be filled.</param>
    /// <param name="sequences">True when sequences are set too.</param>
    /// <param name="log">Says what it means for others.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">A foreign key is in a state that could not be kept.</exception>
    public static async Task<LoadGuards> ReadAsync(
        ConnectionSettings database, IReadOnlyList<TableName> tables, bool sequences, ILogger log, CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(database, cancel);
        var names = tables.Select(static t => t.Sql).ToList();
        var oids = await OidsAsync(session, names, cancel);
        var before = new StringBuilder(InUtf8);
        // What is deferred is checked now: ALTER TABLE refuses to work on a table that has such checks before it.
        var after = new StringBuilder($"{InUtf8}SET CONSTRAINTS ALL IMMEDIATE;\n");
        await AddKeysAsync(session, oids, before, after, log, cancel);
        await AddTriggersAsync(session, oids, before, after, cancel);
        if (sequences)
        {
            await AddSequencesAsync(session, oids, before, cancel);
        }

        // Nobody may have put rows in between the look and the load.
        foreach (var name in names)
        {
            var message = SqlText.Literal($"table {name} is not empty");
            before.Append($"LOCK TABLE ONLY {name} IN SHARE ROW EXCLUSIVE MODE;\n");
            var check = $"BEGIN IF EXISTS (SELECT FROM ONLY {name}) THEN RAISE EXCEPTION USING MESSAGE = {message}; END IF; END";
            before.Append($"DO {SqlText.Literal(check)};\n");
        }

        return new LoadGuards(before.ToString(), after.ToString());
    }

    private static async Task<long[]> OidsAsync(Session session, IReadOnlyList<string> names, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            """
            SELECT to_regclass(n)::oid::bigint FROM unnest($1::text[]) AS n WHERE to_regclass(n) IS NOT NULL
            UNION SELECT a.relid::oid::bigint FROM unnest($1::text[]) AS n, pg_partition_ancestors(to_regclass(n)) AS a
            """,
            static r => r.GetInt64(0),
            cancel,
            [names.ToArray()]);
        return rows.ToArray();
    }

    private static async Task AddTriggersAsync(
        Session session,
        long[] oids,
        StringBuilder before,
        StringBuilder after,
        CancellationToken cancel)
    {
        foreach (var (table, trigger, state) in await session.QueryAsync(
                     TriggersQuery, static r => (r.GetString(0), r.GetString(1), r.GetString(2)), cancel, [oids]))
        {
            var again = state switch { "A" => "ENABLE ALWAYS", "R" => "ENABLE REPLICA", _ => "ENABLE" };
            before.Append($"ALTER TABLE ONLY {table} DISABLE TRIGGER {trigger};\n");
            after.Append($"ALTER TABLE ONLY {table} {again} TRIGGER {trigger};\n");
        }
    }

    private static async Task AddSequencesAsync(Session session, long[] oids, StringBuilder before, CancellationToken cancel)
    {
        foreach (var (name, cycles) in await session.QueryAsync(
                     SequencesQuery, static r => (r.GetString(0), r.GetBoolean(1)), cancel, [oids]))
        {
            before.Append($"ALTER SEQUENCE {name} {(cycles ? "CYCLE" : "NO CYCLE")};\n");
        }
    }

    private static async Task AddKeysAsync(
        Session session, long[] oids, StringBuilder before, StringBuilder after, ILogger log, CancellationToken cancel)
    {
        var keys = await session.QueryAsync(
            KeysQuery,
            static r => new ForeignKey(
                r.GetString(0), r.GetString(1), r.GetString(2), Text(r, 3), r.GetBoolean(4), r.GetBoolean(5), Text(r, 6), Text(r, 7)),
            cancel,
            [oids]);
        if (keys.Count > 0)
        {
            log.Information(
                "foreign keys of the tables are dropped and made again in the transaction: these tables, and those that they point to, are "
                    + "locked until it ends");
        }

        foreach (var key in keys)
        {
            if (key.WhyNotKept is { } why)
            {
                throw new BackupException(
                    ErrorKind.Failed,
                    $"foreign key {key.Name} on {key.Table} {why}, which --data-only could not keep; nothing was changed",
                    "make it a plain valid key (ENABLE TRIGGER ALL, VALIDATE CONSTRAINT) or drop it, restore, then make it again as it was");
            }

            var only = key.IsPartitioned ? string.Empty : "ONLY ";
            before.Append($"ALTER TABLE {only}{key.Table} DROP CONSTRAINT {key.Name};\n");
            after.Append($"ALTER TABLE {only}{key.Table} ADD CONSTRAINT {key.Name} {key.Definition};\n");
            if (key.Comment is { } comment)
            {
                after.Append($"COMMENT ON CONSTRAINT {key.Name} ON {key.Table} IS {SqlText.Literal(comment)};\n");
            }
        }
    }

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    /// <param name="Table">As SQL.</param>
    /// <param name="Name">As SQL.</param>
    /// <param name="Definition">What follows ADD CONSTRAINT and the name.</param>
    /// <param name="Comment">Its comment.</param>
    /// <param name="IsPartitioned">Its table is partitioned.</param>
    /// <param name="IsValid">All rows are known to obey it.</param>
    /// <param name="Disabled">Triggers of it that are not simply enabled.</param>
    /// <param name="OddParts">Keys of partitions with a name or comment of their own.</param>
    private sealed record ForeignKey(
        string Table, string Name, string Definition, string? Comment, bool IsPartitioned, bool IsValid, string? Disabled, string? OddParts)
    {
        public string? WhyNotKept => this switch
        {
            { Disabled: not null } => $"has disabled triggers ({Disabled})",
            { IsValid: false } => "is NOT VALID",
            { OddParts: not null } => $"has parts with names or comments of their own ({OddParts})",
            _ => null,
        };
    }
}
