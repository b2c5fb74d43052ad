using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Materialized views are made again by their queries, which may need more than a dump gives them.</summary>
public sealed class MaterializedViewTests(PostgresCluster cluster)
{
    // pg_restore runs with an empty search path, in which the function's table is not found.
    private const string PathDependent =
        """
        CREATE TABLE t AS SELECT generate_series(1, 7) AS x;
        CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t';
        """ + "CREATE MATERIALIZED VIEW \"odd name\" AS SELECT public.how_many() AS n; CREATE MATERIALIZED VIEW a_reader AS SELECT n + 1 AS n FROM \"odd name\";"
            + "CREATE MATERIALIZED VIEW never_filled AS SELECT 1 AS n WITH NO DATA;";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_view_whose_function_needs_the_search_path_is_filled_with_those_that_read_it(bool split)
    {
        // From 17 on such a function fails in a materialized view wherever it is: there it has a path of its own.
        var own = await cluster.TextAsync("postgres", "SELECT current_setting('server_version_num')::int >= 170000") == bool.TrueString;
        var function = own ? "CREATE FUNCTION how_many() RETURNS bigint SET search_path = public" : "CREATE FUNCTION how_many() RETURNS bigint";
        var tables = PathDependent.Replace("CREATE FUNCTION how_many() RETURNS bigint", function, StringComparison.Ordinal);
        var source = await cluster.CreateDatabaseAsync(tables + (split ? BigTable : string.Empty));
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--jobs", "2");
        var target = RestoreHelp.NewName();
        var empty = await cluster.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--jobs", "2")).Expect(0);
        (await work.RunAsync("restore", "--latest", "--target-db", empty)).Expect(0);

        foreach (var database in new[] { target, empty })
        {
            Assert.Equal("7 8", await cluster.TextAsync(database, "SELECT concat_ws(' ', o.n, r.n) FROM \"odd name\" o, a_reader r"));
            Assert.Equal("False", await cluster.TextAsync(database, "SELECT relispopulated FROM pg_class WHERE relname = 'never_filled'"));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_view_that_can_not_be_filled_is_a_difference_and_costs_nothing_else(bool split)
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(
            gate.FailingFunction + "CREATE TABLE t AS SELECT 1 AS x; CREATE MATERIALIZED VIEW gated AS SELECT public.gate() AS open; CREATE INDEX late ON t (x);"
            + (split ? BigTable : string.Empty));
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--jobs", "2");
        var target = RestoreHelp.NewName();
        await gate.CloseAsync(cluster);

        var document = await work.JsonAsync(8, "restore", "--latest", "--target-db", target, "--jobs", "2");

        var difference = Assert.Single(
            document.GetProperty("restores")[0].GetProperty("result").GetProperty("differences").EnumerateArray());
        Assert.Equal("\"public\".\"gated\"", difference.GetProperty("table").GetString());
        Assert.Contains("the gate is closed", difference.GetProperty("problem").GetString(), StringComparison.Ordinal);
        var kept = await cluster.SiblingAsync(target, "differs");
        Assert.NotNull(kept);
        Assert.Equal("late", await cluster.TextAsync(kept, "SELECT to_regclass('late')::text"));
        await gate.OpenAsync(cluster);
    }

    // No error of the view itself: the disk is full, or somebody ends the query.
    [Fact]
    public async Task A_refresh_that_fails_for_want_of_resources_does_not_cost_the_loaded_rows()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(
            gate.FailingFunction.Replace("'the gate is closed'", "USING MESSAGE = 'disk full', ERRCODE = '53100'", StringComparison.Ordinal)
            + "CREATE TABLE t AS SELECT 1 AS x; CREATE MATERIALIZED VIEW gated AS SELECT public.gate() AS open;");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = RestoreHelp.NewName();
        await gate.CloseAsync(cluster);

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(5).Says("disk full").Says("the rows are loaded");

        Assert.NotNull(await cluster.SiblingAsync(target, "restored"));
        await gate.OpenAsync(cluster);
    }

    [Fact]
    public async Task A_signal_after_the_commit_says_that_the_rows_are_there()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(
            gate.WaitingFunction + "CREATE TABLE t AS SELECT 1 AS x; CREATE MATERIALIZED VIEW gated AS SELECT public.gate() AS open;");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = await cluster.CreateDatabaseAsync("SELECT 1");
        await gate.CloseAsync(cluster);
        using var restore = work.Start("restore", "--latest", "--target-db", target);
        await RestoreGate.ReachedAsync(cluster, target);

        await RestoreHelp.SignalAsync(restore, "TERM");

        (await Command.FinishAsync(restore)).Expect(130).Says("the rows are committed").Says("are as they were backed up");
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM t"));
        await gate.OpenAsync(cluster);
    }

    // Rows of a table that is hashed by an enum move between partitions, since the hash is of the value's oid.
    [Fact]
    public async Task Rows_that_move_between_partitions_of_an_enum_are_no_difference()
    {
        var source = await cluster.CreateDatabaseAsync(
            """
            CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
            CREATE TABLE feelings (m mood, n int) PARTITION BY HASH (m);
            CREATE TABLE feelings_0 PARTITION OF feelings FOR VALUES WITH (MODULUS 3, REMAINDER 0);
            CREATE TABLE feelings_1 PARTITION OF feelings FOR VALUES WITH (MODULUS 3, REMAINDER 1);
            CREATE TABLE feelings_2 PARTITION OF feelings FOR VALUES WITH (MODULUS 3, REMAINDER 2);
            INSERT INTO feelings SELECT (enum_range(NULL::mood))[1 + g % 8], g FROM generate_series(1, 1000) g;
            INSERT INTO feelings SELECT 'a', g FROM generate_series(1, 333) g;
            """);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--fingerprint");
        string Counts() => "SELECT string_agg(tableoid::regclass || ' ' || c, ', ' ORDER BY 1) FROM (SELECT tableoid, count(*) c FROM feelings GROUP BY 1) AS q";
        var before = await cluster.TextAsync(source, Counts());
        // The place of a row is a matter of chance: some database gets them elsewhere.
        string? after = null;
        for (var attempt = 0; attempt < 5 && (after ?? before) == before; attempt++)
        {
            var target = RestoreHelp.NewName();
            (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);
            after = await cluster.TextAsync(target, Counts());
            Assert.Equal("1333", await cluster.TextAsync(target, "SELECT count(*) FROM feelings"));
        }

        Assert.NotEqual(before, after);
    }

    // A tenth of each page is filled: above the 64 MB from where a table gets its own stream.
    private const string BigTable =
        "CREATE TABLE big (id int) WITH (fillfactor = 10); INSERT INTO big SELECT generate_series(1, 240000);";
}
