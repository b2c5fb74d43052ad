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
