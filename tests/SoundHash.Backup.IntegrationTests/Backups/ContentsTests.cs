using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>What a set records of a database, and that everything in a database is in its set.</summary>
public sealed class ContentsTests(PostgresCluster cluster)
{
    private const string BigRows = "SELECT g, repeat(md5(g::text), 64) FROM generate_series(1, 33000) g";

    [Theory]
    [InlineData("say \"hi\"")]
    [InlineData("Capitals And Spaces")]
    [InlineData("dotted.name.")]
    [InlineData("it's a 'quote'")]
    [InlineData("Übergröße 指紋 ☃")]
    [InlineData("line\nbreak")]
    [InlineData("return\r\nand feed\f")]
    [InlineData("-j --clean")]
    [InlineData("a=b dbname=postgres")]
    [InlineData("back\\slash * ? $1 [x] (y|z)")]
    [InlineData("line\u2028separator\u0085")]
    public async Task A_database_with_such_names_is_backed_up_verified_and_restored(string name)
    {
        var database = $"{name} {Guid.NewGuid():n}"[..Math.Min(name.Length + 9, 40)];
        var quoted = PostgresCluster.Quote(name);
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {PostgresCluster.Quote(database)}");
        await cluster.ExecuteAsync(
            database,
            $"""
            CREATE SCHEMA {quoted};
            CREATE TABLE {quoted}.{quoted} ({quoted} serial PRIMARY KEY, t text);
            INSERT INTO {quoted}.{quoted} (t) SELECT 'x' FROM generate_series(1, 7);
            CREATE TABLE {quoted}.{PostgresCluster.Quote(name + "2")} AS SELECT 1 AS x;
            """);
        using var work = new Workspace(cluster, "postgres");

        var id = await work.BackupAsync("--database", database, "--fingerprint");

        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        var contents = await work.ContentsAsync(id);
        Assert.Equal(7, contents.RowsOf(name, name));
        Assert.Equal(1, contents.RowsOf(name + "2", name));
        Assert.Equal(database, contents.GetProperty("database").GetProperty("name").GetString());
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal("7", await cluster.TextAsync(copy, $"SELECT count(*) FROM {quoted}.{quoted}"));
    }

    [Fact]
    public async Task Every_kind_of_relation_is_kept_and_what_holds_rows_is_counted_exactly()
    {
        var database = await cluster.CreateDatabaseAsync(
            """
            CREATE TABLE plain (id serial PRIMARY KEY, x int, count int, doubled int GENERATED ALWAYS AS (x * 2) STORED);
            INSERT INTO plain (x, count) SELECT g, 1 FROM generate_series(1, 11) g;
            CREATE TABLE x (x int, count text); INSERT INTO x VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
            CREATE TABLE no_columns (); INSERT INTO no_columns SELECT FROM generate_series(1, 4);
            CREATE TABLE dropped (a int, b int, c int); INSERT INTO dropped VALUES (1, 2, 3); ALTER TABLE dropped DROP COLUMN b;
            CREATE TABLE parent (id int); INSERT INTO parent VALUES (1), (2);
            CREATE TABLE child (extra int) INHERITS (parent); INSERT INTO child VALUES (3, 3);
            CREATE TABLE parted (id int, d date) PARTITION BY RANGE (d);
            CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY HASH (id);
            CREATE TABLE parted_1_0 PARTITION OF parted_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE parted_1_1 PARTITION OF parted_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            CREATE TABLE parted_d PARTITION OF parted DEFAULT;
            INSERT INTO parted SELECT g, '2020-06-01' FROM generate_series(1, 20) g; INSERT INTO parted VALUES (1, NULL);
            CREATE UNLOGGED TABLE unlogged (id int); INSERT INTO unlogged VALUES (1), (2), (3), (4), (5);
            CREATE MATERIALIZED VIEW filled AS SELECT * FROM plain;
            CREATE MATERIALIZED VIEW unfilled AS SELECT * FROM plain WITH NO DATA;
            CREATE VIEW seen AS SELECT * FROM plain;
            CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
            CREATE FOREIGN TABLE far_away (line text) SERVER files OPTIONS (filename '/nonexistent');
            CREATE SEQUENCE apart START 41; SELECT nextval('apart');
            SELECT lo_from_bytea(0, decode(repeat('ab', 5000), 'hex')) FROM generate_series(1, 3);
            CREATE TABLE nothing (id int);
            """);
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync("--fingerprint");

        var contents = await work.ContentsAsync(id);
        Assert.Equal(11, contents.RowsOf("plain"));
        Assert.Equal(3, contents.RowsOf("x"));
        Assert.Equal(4, contents.RowsOf("no_columns"));
        Assert.Equal(1, contents.RowsOf("dropped"));
        Assert.Equal(2, contents.RowsOf("parent"));
        Assert.Equal(1, contents.RowsOf("child"));
        Assert.Equal(20, contents.RowsOf("parted_1_0") + contents.RowsOf("parted_1_1"));
        Assert.Equal(1, contents.RowsOf("parted_d"));
        Assert.Equal(5, contents.RowsOf("unlogged"));
        Assert.Equal(11, contents.RowsOf("filled"));
        Assert.Equal(0, contents.RowsOf("nothing"));
        foreach (var (name, kind) in new[] { ("parted", "partitioned"), ("parted_1", "partitioned"), ("far_away", "foreign"), (
            "unfilled",
            "materialized-view") })
        {
            Assert.Equal(kind, contents.Table(name).GetProperty("kind").GetString(), ignoreCase: true);
            Assert.False(contents.Table(name).TryGetProperty("rows", out var rows) && rows.ValueKind != JsonValueKind.Null);
        }

        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal("42", await cluster.TextAsync(copy, "SELECT nextval('apart')"));
        Assert.Equal("12", await cluster.TextAsync(copy, "SELECT nextval('plain_id_seq')"));
        Assert.Equal("22", await cluster.TextAsync(copy, "SELECT max(doubled) FROM plain"));
        Assert.Equal("15000", await cluster.TextAsync(copy, "SELECT sum(length(lo_get(oid))) FROM pg_largeobject_metadata"));
    }

    [Fact]
    public async Task Rows_that_a_user_put_into_an_extensions_table_are_kept()
    {
        // An extension with a configuration table: made here, since none of contrib has one.
        var database = await cluster.CreateDatabaseAsync(
            """
            CREATE TABLE ext_settings (name text PRIMARY KEY, value text);
            CREATE EXTENSION hstore;
            ALTER EXTENSION hstore ADD TABLE ext_settings;
            UPDATE pg_extension SET extconfig = ARRAY['ext_settings'::regclass::oid], extcondition = ARRAY[''] WHERE extname = 'hstore';
            INSERT INTO ext_settings VALUES ('mine', '1');
            """);
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync();

        var table = (await work.ContentsAsync(id)).Table("ext_settings");
        Assert.True(table.GetProperty("ofExtension").GetBoolean());
        Assert.Equal(1, table.GetProperty("rows").GetInt64());
        var archive = Path.Combine(work.SetFolder(id), "database.dump.zst");
        Assert.Contains(
            " TABLE DATA public ext_settings ",
            (await Command.ShellAsync($"zstd -dcq '{archive}' | {{ pg_restore --list; cat >/dev/null; }}")).Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fingerprints_ignore_the_order_of_rows_and_see_one_changed_byte_and_every_duplicate()
    {
        const string Rows = "SELECT g AS id, repeat('x', g) AS t, g::float8 / 3 AS f, decode(md5(g::text), 'hex') AS b FROM generate_series(1, 500) g";
        var database = await cluster.CreateDatabaseAsync(
            $"""
            CREATE TABLE forward AS {Rows} ORDER BY g;
            CREATE TABLE backward AS {Rows} ORDER BY g DESC;
            CREATE TABLE one_byte AS {Rows}; UPDATE one_byte SET t = 'y' WHERE id = 1;
            CREATE TABLE doubled AS {Rows}; INSERT INTO doubled SELECT * FROM doubled WHERE id <= 2;
            CREATE TABLE other_double AS {Rows}; INSERT INTO other_double SELECT * FROM other_double WHERE id IN (3, 4);
            CREATE TABLE pairs AS SELECT 1 AS id FROM generate_series(1, 2);
            CREATE TABLE other_pairs AS SELECT 2 AS id FROM generate_series(1, 2);
            CREATE TABLE nothing (id int);
            """);
        // What a role or a database sets must not change it.
        await cluster.ExecuteAsync(
            database,
            $"ALTER DATABASE {database} SET bytea_output = 'escape'; ALTER DATABASE {database} SET extra_float_digits = -5");
        using var work = new Workspace(cluster, database);

        var contents = await work.ContentsAsync(await work.BackupAsync("--fingerprint"));
        string Fingerprint(string table) => contents.Table(table).GetProperty("fingerprint").GetString()!;

        Assert.Equal(Fingerprint("forward"), Fingerprint("backward"));
        Assert.NotEqual(Fingerprint("forward"), Fingerprint("one_byte"));
        Assert.NotEqual(Fingerprint("forward"), Fingerprint("doubled"));
        Assert.NotEqual(Fingerprint("doubled"), Fingerprint("other_double"));
        Assert.NotEqual(Fingerprint("pairs"), Fingerprint("other_pairs"));
        Assert.NotEqual(Fingerprint("pairs"), Fingerprint("nothing"));

        await cluster.ExecuteAsync(database, $"ALTER DATABASE {database} RESET ALL");
        var again = await work.ContentsAsync(await work.BackupAsync("--fingerprint"));
        Assert.Equal(Fingerprint("forward"), again.Table("forward").GetProperty("fingerprint").GetString());
    }

    [Theory]
    [InlineData("LATIN1", "Ärger mit Größe")]
    [InlineData("SQL_ASCII", "plain")]
    public async Task Databases_in_other_encodings_are_kept_byte_by_byte(string encoding, string table)
    {
        var database = $"enc_{Guid.NewGuid().ToString("n")[..10]}";
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {database} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        var quoted = PostgresCluster.Quote(table);
        await cluster.ExecuteAsync(database, $"CREATE TABLE {quoted} (id int, t text); INSERT INTO {quoted} VALUES (1, 'a')");
        // Bytes that are no UTF-8.
        await Command.ShellAsync(
            $"printf '\\\\encoding {encoding}\\nINSERT INTO \"%s\" VALUES (2, E'\"'\"'\\\\xe9\\\\xff'\"'\"');\\n' \"$(printf '%s' '{table}' | iconv -f UTF-8 -t LATIN1)\" | psql -qX -v ON_ERROR_STOP=1 -h '{cluster.Host}' -U postgres -d {database}");
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync("--fingerprint");

        Assert.Equal(2, (await work.ContentsAsync(id)).RowsOf(table));
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        var copy = await work.RestoreBesideAsync(id);
        var original = await cluster.TextAsync(database, $"SELECT md5(string_agg(encode(t::bytea, 'hex'), ',' ORDER BY id)) FROM {quoted}");
        Assert.Equal(
            original,
            await cluster.TextAsync(copy, $"SELECT md5(string_agg(encode(t::bytea, 'hex'), ',' ORDER BY id)) FROM {quoted}"));
        Assert.Equal(encoding, await cluster.TextAsync(copy, "SHOW server_encoding"));
    }

    [Fact]
    public async Task Tables_over_64_MB_get_objects_of_their_own_and_every_object_is_read_by_standard_tools()
    {
        const string Odd = "Big \"ugly\". Täble *?$1\n";
        var database = await cluster.CreateDatabaseAsync(
            $"""
            CREATE TABLE {PostgresCluster.Quote(Odd)} (id int, t text); ALTER TABLE {PostgresCluster.Quote(Odd)} ALTER t SET STORAGE EXTERNAL;
            INSERT INTO {PostgresCluster.Quote(Odd)} {BigRows};
            CREATE TABLE parted (id int, t text) PARTITION BY RANGE (id);
            CREATE TABLE big_leaf PARTITION OF parted FOR VALUES FROM (0) TO (1000000); ALTER TABLE big_leaf ALTER t SET STORAGE EXTERNAL;
            INSERT INTO parted {BigRows};
            CREATE TABLE small (id serial PRIMARY KEY); INSERT INTO small SELECT FROM generate_series(1, 9);
            SELECT lo_from_bytea(0, 'large object');
            """);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();

        var id = await work.BackupAsync("--jobs", "2");

        var folder = work.SetFolder(id);
        Assert.Equal(
            ["SHA256SUMS", "contents.json.zst.age", "data-0000.dump.zst.age", "data-0001.dump.zst.age", "data-0002.dump.zst.age", "globals.sql.zst.age", "manifest.json", "post-data.dump.zst.age", "pre-data.dump.zst.age"],
            Directory.EnumerateFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal)!);
        await Command.ShellAsync("sha256sum --check --strict --quiet SHA256SUMS", directory: folder);
        var listings = await Command.ShellAsync(
            $"for f in *.dump.zst.age; do echo \"== $f\"; age -d -i '{work.IdentityFile}' $f | zstd -dcq | {{ pg_restore --list; cat >/dev/null; }}; done; age -d -i '{work.IdentityFile}' globals.sql.zst.age | zstd -dcq",
            directory: folder);
        Assert.Contains("TABLE DATA public big_leaf", listings.Output, StringComparison.Ordinal);
        Assert.Contains("CREATE ROLE postgres", listings.Output, StringComparison.Ordinal);
        var contents = await work.ContentsAsync(id);
        Assert.Equal(33000, contents.RowsOf(Odd));
        var own = new[] { Odd, "big_leaf" }.Select(t => contents.Table(t).GetProperty("object").GetString());
        Assert.Equal(["data-0001.dump.zst.age", "data-0002.dump.zst.age"], own.Order());
        Assert.False(contents.Table("small").TryGetProperty("object", out var none) && none.ValueKind != JsonValueKind.Null);
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal("33000 9 1", await cluster.TextAsync(copy, "SELECT (SELECT count(*) FROM parted) || ' ' || (SELECT count(*) FROM small) || ' ' || (SELECT count(*) FROM pg_largeobject_metadata)"));

        var whole = await work.BackupAsync("--jobs", "1", "--no-encrypt");

        Assert.Equal(
            ["SHA256SUMS", "contents.json.zst", "database.dump.zst", "globals.sql.zst", "manifest.json"],
            Directory.EnumerateFiles(work.SetFolder(whole)).Select(Path.GetFileName).Order(StringComparer.Ordinal)!);
    }

    // The last pg_dump of a split set begins long after the snapshot; a change that waits by then must not stop it.
    [Fact]
    public async Task A_schema_change_during_a_split_backup_waits_and_does_not_fail_it()
    {
        var database = await cluster.CreateDatabaseAsync(
            $"CREATE TABLE big (id int, t text); ALTER TABLE big ALTER t SET STORAGE EXTERNAL; INSERT INTO big {BigRows}; CREATE TABLE small AS SELECT 1 AS id");
        using var work = new Workspace(cluster, database);
        work.Set("BACKUP_RATE_LIMIT", "20M");
        var mark = work.Mark();
        using var backup = work.Start("backup", "--jobs", "2");
        // pg_dump of the definitions and of what comes after the data have ended when those objects are there.
        await Eventually.TrueAsync(
            () => work.SetFiles().Count(static f => Path.GetFileName(f) is "pre-data.dump.zst" or "post-data.dump.zst") == 2,
            "the short streams are done");
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE 'COPY%big%'") == "1", "big is being read");
        Assert.NotEmpty(BackupProbe.ProcessesOf(mark));
        var changing = cluster.ExecuteAsync(database, "TRUNCATE big");
        await cluster.LockIsAwaitedAsync(database);

        (await Command.FinishAsync(backup)).Expect(0);

        await changing;
        var id = Assert.Single(await work.ListedAsync());
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal("33000", await cluster.TextAsync(copy, "SELECT count(*) FROM big"));
    }
}
