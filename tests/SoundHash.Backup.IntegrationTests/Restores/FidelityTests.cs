using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>What comes back is what was there: every kind of object, and the properties of the database itself.</summary>
public sealed class FidelityTests(PostgresCluster cluster, Samples samples)
{
    [Fact]
    public async Task Every_kind_of_object_works_as_before()
    {
        var source = await cluster.CreateDatabaseAsync(
            """
            CREATE EXTENSION citext; CREATE EXTENSION pg_trgm;
            CREATE TABLE part (id int, at date) PARTITION BY RANGE (at);
            CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
            CREATE TABLE part_b PARTITION OF part FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (id);
            CREATE TABLE part_b1 PARTITION OF part_b FOR VALUES IN (1, 2);
            INSERT INTO part VALUES (1, '2026-01-05'), (1, '2026-02-05'), (2, '2026-02-06');
            CREATE TABLE serials (
                a serial,
                b int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5),
                note citext,
                double int GENERATED ALWAYS AS (a * 2) STORED);
            INSERT INTO serials (note) VALUES ('One'), ('two');
            SELECT setval('serials_a_seq', 41);
            CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM serials;
            CREATE VIEW seen AS SELECT * FROM serials;
            CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := upper(NEW.note); RETURN NEW; END';
            CREATE TRIGGER shouting BEFORE INSERT ON serials FOR EACH ROW EXECUTE FUNCTION shout();
            ALTER TABLE serials ENABLE ROW LEVEL SECURITY; ALTER TABLE serials FORCE ROW LEVEL SECURITY;
            CREATE POLICY mine ON serials USING (a > 1);
            CREATE TABLE events (tag text);
            CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.events VALUES (tg_tag); END';
            CREATE EVENT TRIGGER logging ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION log_ddl();
            CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
            CREATE UNLOGGED TABLE volatile AS SELECT 1 AS x;
            SELECT lo_from_bytea(4711, 'large object');
            """);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--fingerprint");
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);

        async Task Same(string expected, string sql) => Assert.Equal(expected, await cluster.TextAsync(target, sql));
        await Same("3", "SELECT count(*) FROM part");
        await Same("part_b1", "INSERT INTO part VALUES (2, '2026-02-20') RETURNING tableoid::regclass::text");
        await Same("42 110 THREE 84", "INSERT INTO serials (note) VALUES ('three') RETURNING concat_ws(' ', a, b, note, double)");
        await Same("2", "SELECT n FROM counted");
        await Same("One", "SELECT note FROM seen WHERE note = 'ONE'");
        await Same("True", "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = 'serials'");
        await Same("mine (a > 1)", "SELECT polname || ' ' || pg_get_expr(polqual, polrelid) FROM pg_policy");
        await cluster.ExecuteAsync(target, "CREATE TABLE after_restore ()");
        await Same("CREATE TABLE", "SELECT tag FROM events");
        await Same("sad", "SELECT 'sad'::mood::text");
        await Same("u", "SELECT relpersistence::text FROM pg_class WHERE relname = 'volatile'");
        await Same("large object", "SELECT convert_from(lo_get(4711), 'UTF8')");
        await Same("citext,pg_trgm,plpgsql", "SELECT string_agg(extname, ',' ORDER BY extname) FROM pg_extension");
    }

    // One transaction for all of them would run out of locks: a new database needs none.
    [Fact]
    public async Task Thirty_thousand_large_objects_come_back_into_a_new_database()
    {
        var source = await cluster.CreateDatabaseAsync(
            "SELECT count(lo_from_bytea(g, int4send(g))) FROM generate_series(100001, 115000) g");
        await cluster.ExecuteAsync(source, "SELECT count(lo_from_bytea(g, int4send(g))) FROM generate_series(115001, 130000) g");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);

        Assert.Equal("30000", await cluster.TextAsync(target, "SELECT count(*) FROM pg_largeobject WHERE data = int4send(loid::int)"));
    }

    [Fact]
    public async Task Properties_of_the_database_come_back_which_pg_dump_leaves_out()
    {
        var (database, owner, reader) = (RestoreHelp.NewName("Props of"), RestoreHelp.NewName("own"), RestoreHelp.NewName("read er"));
        var quoted = PostgresCluster.Quote(database);
        foreach (var sql in new[]
        {
            $"CREATE ROLE {owner}", $"CREATE ROLE \"{reader}\"",
            $"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' OWNER {owner} CONNECTION LIMIT 23",
            $"COMMENT ON DATABASE {quoted} IS 'it''s \\ \"quoted\"'",
            $"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC", $"GRANT CONNECT ON DATABASE {quoted} TO \"{reader}\" WITH GRANT OPTION",
            $"ALTER DATABASE {quoted} SET search_path = \"$user\", public, \"odd, name\"", $"ALTER DATABASE {quoted} SET work_mem = '7MB'",
            $"ALTER DATABASE {quoted} SET \"sound.hash\" = 'a, b ''c'' \"d\"'",
            $"ALTER DATABASE {quoted} SET default_transaction_read_only = on",
            $"ALTER ROLE \"{reader}\" IN DATABASE {quoted} SET search_path = ''",
            $"ALTER ROLE \"{reader}\" IN DATABASE {quoted} SET statement_timeout = '3s'",
        })
        {
            await cluster.ExecuteAsync("postgres", sql);
        }

        await cluster.ExecuteAsync(database, "SET transaction_read_only = off; CREATE TABLE t AS SELECT 'Größe' AS x");
        using var work = new Workspace(cluster, database);
        await work.BackupAsync("--fingerprint");
        var before = await PropertiesAsync(database);
        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {quoted}");

        (await work.RunAsync("restore", "--latest")).Expect(0);

        Assert.Equal(before, await PropertiesAsync(database));
        Assert.Contains("\"encoding\": 8", before, StringComparison.Ordinal);
        Assert.Contains("\"datconnlimit\": 23", before, StringComparison.Ordinal);
        Assert.Contains("default_transaction_read_only=on", before, StringComparison.Ordinal);
        Assert.Equal("Größe", await cluster.TextAsync(database, "SELECT x FROM t"));
    }

    // Applications keep passwords in settings of their own.
    [Fact]
    public async Task A_setting_that_the_server_refuses_is_named_without_its_value()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => c["database"]!["settings"] = new JsonArray(
            new JsonObject { ["name"] = "work_mem", ["value"] = "hunter2" },
            new JsonObject { ["role"] = "postgres", ["name"] = "statement_timeout", ["value"] = "hunter3" }));
        var target = RestoreHelp.NewName();

        var result = (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--log-level", "debug")).Expect(0);

        result.Says("setting work_mem of the database is not restored").Says("setting statement_timeout of role \"postgres\" in the database is not restored");
        Assert.DoesNotContain("hunter", result.Error + result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Capital")]
    [InlineData("with space")]
    [InlineData("with.dot")]
    [InlineData("quote\"d'")]
    [InlineData("Größe 音")]
    [InlineData("-dash=x")]
    [InlineData("back\\slash")]
    [InlineData("postgresql://host/db")]
    public async Task A_database_of_any_name_is_backed_up_and_comes_back(string stem)
    {
        var database = RestoreHelp.NewName(stem);
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {PostgresCluster.Quote(database)} LOCALE 'C.UTF-8' TEMPLATE template0");
        await cluster.ExecuteAsync(database, "CREATE TABLE t AS SELECT 1 AS x");
        using var work = new Workspace(cluster, "postgres");
        await work.BackupAsync("--database", database);
        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {PostgresCluster.Quote(database)}");

        (await work.RunAsync("restore", "--latest", $"--database={database}")).Expect(0);

        Assert.Equal("1", await cluster.TextAsync(database, "SELECT x FROM t"));
    }

    private Task<string?> PropertiesAsync(string database) => cluster.TextAsync(
        "postgres",
        $"""
        SELECT to_jsonb(d) - '{"{"}oid,datfrozenxid,datminmxid,datdba,datacl,dattablespace{"}"}'::text[] || jsonb_build_object(
          'owner', pg_get_userbyid(datdba), 'comment', shobj_description(oid, 'pg_database'),
          'acl', (SELECT jsonb_agg(
              format('%s %s %s', a.grantee::regrole, a.privilege_type, a.is_grantable) ORDER BY a.grantee,
              a.privilege_type) FROM aclexplode(datacl) a),
          'set', (
              SELECT jsonb_agg(format('%s %s', s.setrole::regrole, c) ORDER BY s.setrole, c) FROM pg_db_role_setting s,
              unnest(setconfig) c WHERE s.setdatabase = d.oid))::text
        FROM pg_database d WHERE datname = '{database}'
        """);
}
