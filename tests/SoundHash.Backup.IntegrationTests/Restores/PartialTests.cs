using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Parts of a set: rows alone, definitions alone, some tables.</summary>
public sealed class PartialTests(PostgresCluster cluster, Samples samples)
{
    private const string Definitions =
        """
        CREATE TABLE channels (id bigserial PRIMARY KEY, name text NOT NULL);
        CREATE TABLE videos (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            channel_id bigint NOT NULL REFERENCES channels,
            title text);
        CREATE TABLE keyless (note text);
        """;

    private const string BigDefinition = "CREATE TABLE audio_fingerprints (id bigint PRIMARY KEY, video_id bigint REFERENCES videos, hash text);";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Data_only_fills_empty_tables_past_their_foreign_keys(bool split)
    {
        using var sample = split ? await samples.SplitAsync(cluster) : await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync(split ? Definitions + BigDefinition : Definitions);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--data-only", "--jobs", "2")).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos JOIN channels c ON c.id = channel_id"));
        Assert.Equal("101", await cluster.TextAsync(target, "INSERT INTO channels (name) VALUES ('next') RETURNING id"));
        await Assert.ThrowsAsync<Npgsql.PostgresException>(
            () => cluster.ExecuteAsync(target, "INSERT INTO videos (channel_id) VALUES (-1)"));
    }

    // Guards against this: a table without a key doubled its rows.
    [Fact]
    public async Task Data_only_into_a_table_with_rows_is_refused()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync(Definitions + "INSERT INTO keyless VALUES ('here already')");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--data-only", "--yes"))
            .Expect(1).Says("\"keyless\"").Says("nothing was changed").Says("hint:");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM keyless"));
        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM channels"));
    }

    [Fact]
    public async Task Data_only_without_the_tables_is_refused()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE channels (id bigint, name text)");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--data-only")).Expect(1).Says("is not in database");
        (await sample.Work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            RestoreHelp.NewName(),
            "--data-only")).Expect(2).Says("does not exist");

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM channels"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Schema_only_makes_tables_and_keys_without_rows(bool split)
    {
        using var sample = split ? await samples.SplitAsync(cluster) : await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--schema-only")).Expect(0);

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
        Assert.Equal(split ? "2" : "1", await cluster.TextAsync(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"));
    }

    [Theory]
    [InlineData(true, "audio_fingerprints", 110000)]
    [InlineData(true, "public.channels", 100)]
    [InlineData(false, "videos", 5000)]
    public async Task One_table_comes_back_alone(bool split, string table, int rows)
    {
        using var sample = split ? await samples.SplitAsync(cluster) : await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();

        var document = await sample.Work.JsonAsync(0, "restore", "--latest", "--target-db", target, "--table", table);

        Assert.Equal(rows, document.GetProperty("restores")[0].GetProperty("result").GetProperty("rows").GetInt32());
        Assert.Equal(table.Split('.')[^1], await cluster.TextAsync(
            target,
            "SELECT string_agg(relname, ',') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"));
        Assert.Equal($"{rows}", await cluster.TextAsync(target, $"SELECT count(*) FROM {table}"));
    }

    [Fact]
    public async Task A_big_table_is_read_from_its_own_object_alone()
    {
        using var sample = await samples.SplitAsync(cluster);
        File.Delete(sample.Edit()["data-0000.dump.zst"]);

        (await sample.Work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            RestoreHelp.NewName(),
            "--table",
            "audio_fingerprints")).Expect(0);
    }

    // pg_restore stops reading behind what it was asked for, long before the end of a large archive.
    [Theory]
    [InlineData("--schema-only", "0")]
    [InlineData("--table=a_before", "1000")]
    public async Task A_part_of_a_large_archive_comes_back_though_its_end_is_not_needed(string part, string rows)
    {
        var source = await cluster.CreateDatabaseAsync(new RestoreGate().WaitingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        var id = await work.BackupAsync();
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target, part)).Expect(0);
        Assert.Equal(rows, await cluster.TextAsync(target, "SELECT count(*) FROM a_before"));

        // What is not needed is read all the same: damage there is no secret.
        var edit = new SetEditor(work.SetFolder(id));
        SetEditor.FlipBit(edit[edit.Key("dump")], new FileInfo(edit[edit.Key("dump")]).Length - 2000);
        (await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName(), part)).Expect(8);
    }

    [Fact]
    public async Task Tables_come_beside_others_in_an_existing_database_in_one_transaction()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.FailingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = await cluster.CreateDatabaseAsync(gate.FailingFunction + "CREATE TABLE other AS SELECT 1 AS x");
        string[] arguments = ["restore", "--latest", "--target-db", target, "--table", "a_before", "--table", "public.z_gated"];
        await gate.CloseAsync(cluster);

        (await work.RunAsync(arguments)).Expect(5).Says("the gate is closed");
        Assert.Null(await cluster.TextAsync(target, "SELECT to_regclass('a_before')::text"));

        await gate.OpenAsync(cluster);
        (await work.RunAsync(arguments)).Expect(0);
        Assert.Equal("1003", await cluster.TextAsync(target, "SELECT (SELECT count(*) FROM a_before) + (SELECT count(*) FROM z_gated)"));
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM other"));
    }

    [Fact]
    public async Task A_table_that_is_there_is_refused_and_keeps_its_rows()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE keyless AS SELECT 'mine' AS note");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--table", "channels", "--table", "keyless"))
            .Expect(1).Says("\"keyless\"").Says("nothing was changed");

        Assert.Equal("mine", await cluster.TextAsync(target, "SELECT string_agg(note, ',') FROM keyless"));
        Assert.Null(await cluster.TextAsync(target, "SELECT to_regclass('channels')::text"));
    }

    [Theory]
    [InlineData("a.t", "1")]
    [InlineData("b.t", "2")]
    [InlineData("with.dot", "3")]
    [InlineData("odd schema.with.dot", "3")]
    [InlineData("Größe \"quoted\"", "4")]
    [InlineData("odd schema.Größe \"quoted\"", "4")]
    [InlineData("any*", "5")]
    [InlineData("-dashed", "6")]
    public async Task A_table_is_found_by_its_exact_name_whatever_that_is(string name, string expected)
    {
        using var work = await OddTablesAsync();
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target, $"--table={name}")).Expect(0);

        var found = await cluster.TextAsync(
            target,
            "SELECT string_agg(oid::regclass::text, ',') FROM pg_class WHERE relkind = 'r' AND oid >= 16384");
        Assert.Equal(expected, await cluster.TextAsync(target, $"SELECT x FROM {found}"));
    }

    [Theory]
    [InlineData("t", "is in several schemas: a, b")]
    [InlineData("missing", "has no table 'missing'")]
    [InlineData("T", "has no table 'T'")]
    [InlineData("parted", "partitions")]
    public async Task A_table_that_can_not_be_told_is_refused_before_anything_is_made(string name, string message)
    {
        using var work = await OddTablesAsync();
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--table", name)).Expect(2).Says(message);

        await cluster.NothingIsLeftAsync(target);
    }

    [Theory]
    [InlineData("--clean", "--swap")]
    [InlineData("--schema-only", "--data-only")]
    [InlineData("--clean", "--data-only")]
    [InlineData("--swap", "--table=x")]
    public async Task Wishes_that_contradict_each_other_are_wrong_usage(string one, string other)
    {
        using var sample = await samples.SmallAsync(cluster);

        (await sample.Work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            RestoreHelp.NewName(),
            one,
            other)).Expect(2).Says("hint: shbackup restore --help");
    }

    private async Task<Workspace> OddTablesAsync()
    {
        var source = await cluster.CreateDatabaseAsync(
            """"
            CREATE SCHEMA a; CREATE SCHEMA b; CREATE SCHEMA "odd schema";
            CREATE TABLE a.t AS SELECT 1 AS x;
            CREATE TABLE b.t AS SELECT 2 AS x;
            CREATE TABLE "odd schema"."with.dot" AS SELECT 3 AS x;
            CREATE TABLE "odd schema"."Größe ""quoted""" AS SELECT 4 AS x;
            CREATE TABLE "any*" AS SELECT 5 AS x;
            CREATE TABLE anything AS SELECT 0 AS x;
            CREATE TABLE "-dashed" AS SELECT 6 AS x;
            CREATE TABLE parted (x int) PARTITION BY LIST (x);
            CREATE TABLE part_one PARTITION OF parted FOR VALUES IN (1);
            """");
        var work = new Workspace(cluster, source);
        await work.BackupAsync();
        return work;
    }
}
