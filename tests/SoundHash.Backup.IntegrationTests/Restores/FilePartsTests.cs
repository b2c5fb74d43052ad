using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Rows alone, or single tables, out of an archive that has no manifest.</summary>
public sealed class FilePartsTests(PostgresCluster cluster, Samples samples)
{
    public static TheoryData<string> Forms => new()
    {
        "cp $D $F",
        "zstd -qc $D | age -r $AGE -o $F",
        "$PGRESTORE_SOURCE/pg_dump -Ft -f $F",
        "$PGRESTORE_SOURCE/pg_dump -Fd -f $F",
    };

    [Theory]
    [MemberData(nameof(Forms))]
    public async Task Rows_alone_fill_tables_that_are_there_whose_keys_and_triggers_stay(string make)
    {
        using var work = await DumpFiles.WorkAsync(cluster, samples);
        await work.MakeDumpAsync("file", make);
        var target = RestoreHelp.NewName();
        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--schema-only")).Expect(0);
        await cluster.ExecuteAsync(
            target,
            """
            CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.title := ''spoiled''; RETURN NEW; END';
            CREATE TRIGGER spoil BEFORE INSERT ON videos FOR EACH ROW EXECUTE FUNCTION spoil();
            """);

        var result = (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--data-only")).Expect(0);

        Assert.Contains("no rows were compared", result.Output, StringComparison.Ordinal);
        Assert.Equal("5000 0", await cluster.TextAsync(target, "SELECT count(*) || ' ' || count(*) FILTER (WHERE title = 'spoiled') FROM videos"));
        Assert.Equal("1 O", await cluster.TextAsync(
            target,
            "SELECT (SELECT count(*) FROM pg_constraint WHERE contype = 'f') || ' ' || (SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'spoil')"));
        Assert.Equal("101", await cluster.TextAsync(target, "INSERT INTO channels (name) VALUES ('next') RETURNING id"));
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public async Task A_single_table_comes_alone_into_a_new_database_or_beside_others(string make)
    {
        using var work = await DumpFiles.WorkAsync(cluster, samples);
        await work.MakeDumpAsync("file", make);
        var beside = RestoreHelp.NewName();
        var existing = await cluster.CreateDatabaseAsync("CREATE TABLE other AS SELECT 1 AS x; CREATE TABLE keyless (note text)");

        (await work.RunAsync("restore", "--file", "file", "--target-db", beside, "--table", "public.videos", "--table", "channels")).Expect(0).Says("setval");
        (await work.RunAsync("restore", "--file", "file", "--target-db", existing, "--table", "videos")).Expect(0);
        (await work.RunAsync("restore", "--file", "file", "--target-db", existing, "--table", "keyless", "--data-only")).Expect(0);

        const string Tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        Assert.Equal("channels videos", await cluster.TextAsync(beside, Tables));
        Assert.Equal("5000 100", await cluster.TextAsync(beside, "SELECT (SELECT count(*) FROM videos) || ' ' || (SELECT count(*) FROM channels)"));
        Assert.Equal("keyless other videos", await cluster.TextAsync(existing, Tables));
        Assert.Equal("5000 1", await cluster.TextAsync(existing, "SELECT (SELECT count(*) FROM videos) || ' ' || (SELECT count(*) FROM keyless)"));
    }

    // pg_restore's list has schema, name and owner without quotes.
    [Fact]
    public async Task Tables_of_any_name_are_told_apart()
    {
        const string Definitions =
            """
            CREATE SCHEMA "a b"; CREATE SCHEMA "a.b"; CREATE SCHEMA a;
            CREATE TABLE "a b".c (x int); CREATE TABLE a."b c" (x int); CREATE TABLE a."b.c" (x int); CREATE TABLE "a.b".c (x int);
            CREATE TABLE public."Größe TABLE DATA" (x int);
            """;
        var source = await cluster.CreateDatabaseAsync(
            $"""
            {Definitions}
            INSERT INTO "a b".c VALUES (1); INSERT INTO a."b c" VALUES (2); INSERT INTO a."b.c" VALUES (3); INSERT INTO "a.b".c VALUES (4);
            INSERT INTO public."Größe TABLE DATA" VALUES (5);
            """);
        using var work = new Workspace(cluster, source);
        work.Environment["PGDATABASE"] = source;
        await work.MakeDumpAsync("file", "cp $D $F");
        var target = RestoreHelp.NewName();
        var full = await cluster.CreateDatabaseAsync(Definitions);

        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--table", "c")).Expect(2).Says("several schemas: a b, a.b");
        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--table", "a.b.c")).Expect(2).Says("several schemas");
        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--table", "b")).Expect(2).Says("no table 'b'");
        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--table", "a b.c", "--table", "b c", "--table", "Größe TABLE DATA")).Expect(0);
        (await work.RunAsync("restore", "--file", "file", "--target-db", full, "--data-only")).Expect(0);

        Assert.Equal("1 2 5", await cluster.TextAsync(
            target, "SELECT concat_ws(' ', (SELECT x FROM \"a b\".c), (SELECT x FROM a.\"b c\"), (SELECT x FROM \"Größe TABLE DATA\"))"));
        Assert.Equal("1 2 3 4 5", await cluster.TextAsync(
            full,
            "SELECT concat_ws(' ', (SELECT x FROM \"a b\".c), (SELECT x FROM a.\"b c\"), (SELECT x FROM a.\"b.c\"), (SELECT x FROM \"a.b\".c), (SELECT x FROM \"Größe TABLE DATA\"))"));
    }

    // A line of the list fits what is not there as well: to take that for granted would restore nothing, as a success.
    [Fact]
    public async Task A_name_that_a_line_of_the_list_may_mean_in_two_ways_is_the_table_that_is_there()
    {
        var source = await cluster.CreateDatabaseAsync(
            """
            CREATE SCHEMA "old orders"; CREATE TABLE "old orders".orders AS SELECT 1 AS x;
            CREATE SCHEMA a; CREATE SCHEMA "a b"; CREATE TABLE a.b AS SELECT 2 AS x; CREATE TABLE "a b".b AS SELECT 3 AS x;
            """);
        using var work = new Workspace(cluster, source);
        work.Environment["PGDATABASE"] = source;
        await work.MakeDumpAsync("file", "cp $D $F");
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--table", "orders")).Expect(0);
        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--table", "b")).Expect(2).Says("several schemas: a, a b");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT x FROM \"old orders\".orders"));
    }

    [Fact]
    public async Task Rows_alone_of_a_file_that_has_none_or_whose_names_are_not_known_are_refused()
    {
        using var work = await DumpFiles.WorkAsync(cluster, samples);
        await work.MakeDumpAsync("file", "$PGRESTORE_SOURCE/pg_dump -Fc --schema-only -f $F");
        var target = RestoreHelp.NewName();
        (await work.RunAsync("restore", "--file", "file", "--target-db", target)).Expect(0);
        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--data-only")).Expect(2).Says("no rows of any table");

        work.Environment["PGDATABASE"] = await cluster.CreateDatabaseAsync("CREATE TABLE alt (x int); CREATE TABLE \"alt größe\" AS SELECT 1 AS x");
        await work.MakeDumpAsync("latin", "$PGRESTORE_SOURCE/pg_dump -Fc --encoding=LATIN1 -f $F");
        // One of the two readings of its line is there, and empty.
        var other = await cluster.CreateDatabaseAsync("CREATE TABLE alt (x int)");
        (await work.RunAsync("restore", "--file", "latin", "--target-db", other, "--data-only")).Expect(1).Says("is no ordinary one of database");
    }

    [Fact]
    public async Task A_sequence_of_a_table_whose_rows_the_file_does_not_have_is_never_set_back()
    {
        const string Tables = "CREATE TABLE big (id serial, x int); CREATE TABLE small (x int);";
        var source = await cluster.CreateDatabaseAsync($"{Tables} INSERT INTO big (x) VALUES (1); INSERT INTO small VALUES (1)");
        var target = await cluster.CreateDatabaseAsync($"{Tables} INSERT INTO big (x) SELECT generate_series(1, 50)");
        using var work = new Workspace(cluster, source);
        work.Environment["PGDATABASE"] = source;
        await work.MakeDumpAsync("file", "$PGRESTORE_SOURCE/pg_dump -Fc --exclude-table-data=big -f $F");
        string[] restore = ["restore", "--file", "file", "--target-db", target, "--data-only"];

        (await work.RunAsync([.. restore, "--plan"])).Expect(1).Says("sets a sequence of \"public\".\"big\"");
        (await work.RunAsync(restore)).Expect(1).Says("--table");
        (await work.RunAsync([.. restore, "--table", "small"])).Expect(0);

        Assert.Equal("50 1", await cluster.TextAsync(
            target, "SELECT (SELECT last_value FROM big_id_seq) || ' ' || (SELECT count(*) FROM small)"));
    }

    [Fact]
    public async Task Rows_that_a_key_does_not_allow_are_refused_as_a_whole()
    {
        using var work = await DumpFiles.WorkAsync(cluster, samples);
        await work.MakeDumpAsync("file", "cp $D $F");
        var target = RestoreHelp.NewName();
        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--schema-only")).Expect(0);

        (await work.RunAsync("restore", "--file", "file", "--target-db", target, "--data-only", "--table", "videos")).Expect(5).Says("violates foreign key");

        Assert.Equal("0 1", await cluster.TextAsync(
            target, "SELECT (SELECT count(*) FROM videos) || ' ' || (SELECT count(*) FROM pg_constraint WHERE contype = 'f')"));
    }
}
