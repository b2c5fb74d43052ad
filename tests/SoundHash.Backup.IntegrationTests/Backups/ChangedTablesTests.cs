using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>A set is one moment of the database, whatever happens to its tables while it is written.</summary>
public sealed class ChangedTablesTests(PostgresCluster cluster)
{
    private const string Tables =
        """
        CREATE TABLE a_held (id int);
        CREATE TABLE z_target (id int, note text);
        INSERT INTO z_target SELECT g, 'row ' || g FROM generate_series(1, 1000) g;
        CREATE TABLE z_parent (id int) PARTITION BY RANGE (id);
        CREATE TABLE z_leaf PARTITION OF z_parent FOR VALUES FROM (0) TO (1000);
        INSERT INTO z_parent SELECT g FROM generate_series(1, 500) g;
        """;

    // Without locks, TRUNCATE between export and dump gives an empty table, an equal count of 0 and exit code 0.
    [Theory]
    [InlineData("TRUNCATE z_target")]
    [InlineData("TRUNCATE z_parent")]
    [InlineData("DROP TABLE z_target")]
    [InlineData("DROP TABLE z_parent")]
    [InlineData("ALTER TABLE z_target ALTER COLUMN id TYPE bigint")]
    [InlineData("ALTER TABLE z_target DROP COLUMN note")]
    [InlineData("ALTER TABLE z_target RENAME TO z_renamed")]
    [InlineData("ALTER TABLE z_parent DETACH PARTITION z_leaf")]
    public async Task A_schema_change_waits_until_the_backup_is_over_and_the_set_has_the_rows_of_its_snapshot(string change)
    {
        var database = await cluster.CreateDatabaseAsync(Tables);
        using var work = new Workspace(cluster, database);
        // Here pg_dump has read everything and may be gone: what holds the tables is our own session.
        using var gate = new DumpGate(work, Moment.AfterDump);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);
        var changing = cluster.ExecuteAsync(database, change);
        await cluster.LockIsAwaitedAsync(database);
        gate.Open();

        (await Command.FinishAsync(backup)).Expect(0);
        await changing;

        var id = Assert.Single(await work.ListedAsync());
        var contents = await work.ContentsAsync(id);
        Assert.Equal(1000, contents.RowsOf("z_target"));
        Assert.Equal(500, contents.RowsOf("z_leaf"));
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal(
            "1000 1000 integer",
            await cluster.TextAsync(copy, "SELECT count(*) || ' ' || count(note) || ' ' || max(pg_typeof(id)::text) FROM z_target"));
        Assert.Equal("500", await cluster.TextAsync(copy, "SELECT count(*) FROM z_parent"));
    }

    [Fact]
    public async Task A_schema_change_that_comes_between_our_lock_and_pg_dumps_fails_the_backup_with_its_cause_and_loses_nothing()
    {
        var database = await cluster.CreateDatabaseAsync(Tables);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.BeforeDump);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);
        var changing = cluster.ExecuteAsync(database, "TRUNCATE z_target");
        await cluster.LockIsAwaitedAsync(database);
        gate.Open();

        (await Command.FinishAsync(backup)).Expect(5).Says("z_target").Says("hint: another session waits to change or truncate that table");

        await changing;
        Assert.Empty(work.SetFiles());
        Assert.Equal(0, (await work.ContentsAsync(await work.BackupAsync())).RowsOf("z_target"));
    }

    [Fact]
    public async Task A_schema_change_that_waits_before_the_turn_of_its_big_table_does_not_stop_the_backup()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.TwoBigTables);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var backup = work.Start("backup", "--jobs", "2");
        await gate.ReachedAsync(backup);
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync(
                "postgres",
                $"SELECT 'yes' FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE 'COPY public.b_big%'") is not null,
            "pg_dump has the smaller big table, which two workers have not come to");
        var changing = cluster.ExecuteAsync(database, "TRUNCATE b_big");
        await cluster.LockIsAwaitedAsync(database);
        gate.Open();

        (await Command.FinishAsync(backup)).Expect(0);
        await changing;

        Assert.Equal(8300, (await work.ContentsAsync(Assert.Single(await work.ListedAsync()))).RowsOf("b_big"));
    }

    // Whoever counts in a session without locks queues behind the change, which waits for the backup, which waits for the count.
    [Fact]
    public async Task A_schema_change_that_waits_before_its_table_is_counted_does_not_stop_the_backup()
    {
        var database = await cluster.CreateDatabaseAsync(
            Tables + "CREATE TABLE a_slow AS SELECT g AS id, repeat('x', 100) AS note FROM generate_series(1, 300000) g");
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var backup = work.Start("backup", "--fingerprint");
        string? counter = null;
        await Eventually.TrueAsync(
            async () => (counter = await cluster.TextAsync(
                "postgres",
                $"SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE '%count(*)%a_slow%' AND state = 'active'"))
                is not null,
            "the first table is counted");
        await Command.ShellAsync($"kill -STOP {counter}");
        Task changing;
        try
        {
            await gate.ReachedAsync(backup);
            changing = cluster.ExecuteAsync(database, "TRUNCATE z_target");
            await cluster.LockIsAwaitedAsync(database);
        }
        finally
        {
            await Command.ShellAsync($"kill -CONT {counter}");
        }

        gate.Open();
        (await Command.FinishAsync(backup)).Expect(0);
        await changing;

        Assert.Equal(1000, (await work.ContentsAsync(Assert.Single(await work.ListedAsync()))).RowsOf("z_target"));
    }

    [Theory]
    [InlineData("CREATE TABLE z_added AS SELECT 1 AS id", "z_added", 1, true)]
    [InlineData("DROP TABLE z_target; CREATE TABLE z_target AS SELECT 1 AS id, ''::text AS note", "z_target", 1, true)]
    [InlineData("ALTER TABLE z_target RENAME TO z_renamed", "z_renamed", 1000, true)]
    [InlineData("DROP TABLE z_target", "z_leaf", 500, true)]
    [InlineData("TRUNCATE z_target", "z_target", 0, false)]
    [InlineData("DELETE FROM z_target WHERE id > 10", "z_target", 10, false)]
    public async Task A_change_before_the_locks_are_held_is_in_the_set_as_a_whole(string change, string table, long rows, bool startsOver)
    {
        var database = await cluster.CreateDatabaseAsync(Tables);
        using var work = new Workspace(cluster, database);
        await using var other = await cluster.OpenAsync(database);
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN; LOCK TABLE a_held IN ACCESS EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        using var backup = work.Start("backup");
        await cluster.LockIsAwaitedAsync(database);
        await cluster.ExecuteAsync(database, change);
        command.CommandText = "COMMIT";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        var result = (await Command.FinishAsync(backup)).Expect(0);

        Assert.Equal(startsOver, result.Error.Contains("starting over", StringComparison.Ordinal));
        var id = Assert.Single(await work.ListedAsync());
        Assert.Equal(rows, (await work.ContentsAsync(id)).RowsOf(table));
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal($"{rows}", await cluster.TextAsync(copy, $"SELECT count(*) FROM {table}"));
    }

    [Fact]
    public async Task Rows_that_come_and_go_while_the_backup_runs_are_not_in_it()
    {
        var database = await cluster.CreateDatabaseAsync(Tables);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.BeforeDump);
        using var backup = work.Start("backup", "--fingerprint");
        await gate.ReachedAsync(backup);
        await cluster.ExecuteAsync(
            database,
            "DELETE FROM z_target WHERE id <= 500; UPDATE z_target SET note = 'changed'; INSERT INTO z_leaf VALUES (999); CREATE TABLE later AS SELECT 1");
        gate.Open();
        (await Command.FinishAsync(backup)).Expect(0);

        var copy = await work.RestoreBesideAsync(Assert.Single(await work.ListedAsync()));

        Assert.Equal(
            "1000 0",
            await cluster.TextAsync(copy, "SELECT count(*) || ' ' || count(*) FILTER (WHERE note = 'changed') FROM z_target"));
        Assert.Equal("500", await cluster.TextAsync(copy, "SELECT count(*) FROM z_parent"));
        Assert.Null(await cluster.TextAsync(copy, "SELECT to_regclass('later')::text"));
    }

    /// <summary>pg_dump takes the rows of an extension's configuration tables: emptied in between, they would be lost without a word.</summary>
    [Fact]
    public async Task Configuration_tables_of_extensions_are_locked_with_the_others()
    {
        var database = await cluster.CreateDatabaseAsync(
            """
            CREATE EXTENSION citext; CREATE TABLE conf AS SELECT 1 AS id; CREATE TABLE internal AS SELECT 1 AS id;
            ALTER EXTENSION citext ADD TABLE conf; ALTER EXTENSION citext ADD TABLE internal;
            UPDATE pg_extension SET extconfig = ARRAY['conf'::regclass::oid], extcondition = ARRAY[''] WHERE extname = 'citext';
            """);
        using var work = new Workspace(cluster, database);
        await using var other = await cluster.OpenAsync(database);
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN; LOCK TABLE conf IN ACCESS EXCLUSIVE MODE; LOCK TABLE internal IN ACCESS EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        using var backup = work.Start("backup");
        await cluster.LockIsAwaitedAsync(database);
        var waiting = await cluster.TextAsync(
            "postgres", $"SELECT query FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = 'Lock'");
        command.CommandText = "COMMIT";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        (await Command.FinishAsync(backup)).Expect(0);
        Assert.Equal("LOCK TABLE ONLY \"public\".\"conf\" IN ACCESS SHARE MODE", waiting);
    }
}
