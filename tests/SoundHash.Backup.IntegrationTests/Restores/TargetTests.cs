using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Where a restore goes to, and what it may destroy: nothing that a person did not say.</summary>
public sealed class TargetTests(PostgresCluster cluster, Samples samples)
{
    [Fact]
    public async Task Latest_makes_the_database_that_is_missing_under_its_own_name()
    {
        var database = await cluster.CreateDatabaseAsync(Samples.SmallTables);
        using var work = new Workspace(cluster, database);
        await work.BackupAsync();
        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {database}");

        (await work.RunAsync("restore", "--latest")).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(database, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task A_template_is_refused_whatever_the_mode_and_stays_as_it_was()
    {
        using var sample = await samples.SmallAsync(cluster);
        var own = RestoreHelp.NewName();
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {own} IS_TEMPLATE true");

        foreach (var target in (string[])["template0", "template1", own])
        {
            foreach (var how in (string[][])[[], ["--clean", "--yes"], ["--swap", "--yes"], ["--table", "videos"]])
            {
                (await sample.Work.RunAsync(["restore", "--latest", "--target-db", target, .. how])).Expect(2).Says("is a template");
            }
        }

        foreach (var target in (string[])["template1", own])
        {
            Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"));
        }
    }

    [Fact]
    public async Task A_restored_database_is_analyzed_so_that_its_first_queries_are_planned_well()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);

        Assert.Equal(
            "5000 analyzed",
            await cluster.TextAsync(
                target,
                "SELECT reltuples || ' ' || (SELECT 'analyzed' FROM pg_stats WHERE tablename = 'videos' AND attname = 'title')"
                + " FROM pg_class WHERE relname = 'videos'"));
    }

    [Fact]
    public async Task Less_room_than_the_database_took_is_a_warning_and_stops_no_restore_that_fits()
    {
        using var sample = await samples.SmallAsync(cluster);
        var editor = sample.Edit();
        editor.Manifest["databaseBytes"] = 1L << 50;
        editor.SaveManifest();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0)
            .Says("MiB free, and the database took 1073741824 MiB on its server");
    }

    [Fact]
    public async Task The_hook_before_a_restore_learns_from_where_and_to_where_it_goes_and_its_failure_stops_it()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();
        sample.Work.Set("BACKUP_HOOK_PRE_RESTORE", "'env | grep ^SHBACKUP_ >&2; exit 3'");

        var result = (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(5);

        result.Says($"SHBACKUP_FROM={sample.Id}").Says($"SHBACKUP_TARGETS={target}").Says("SHBACKUP_VERB=restore");
        Assert.False(await cluster.DatabaseExistsAsync(target));
    }

    [Fact]
    public async Task A_backup_goes_beside_the_live_database_with_target_db()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();

        var document = await sample.Work.JsonAsync(0, "restore", "--latest", "--target-db", target);

        Assert.Equal(target, document.GetProperty("restores")[0].GetProperty("result").GetProperty("database").GetString());
        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
        Assert.Equal("5000", await cluster.TextAsync(Samples.SmallDatabase, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task An_existing_empty_database_is_filled_in_place()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("SELECT 1");
        var before = await cluster.TextAsync("postgres", $"SELECT oid::text FROM pg_database WHERE datname = '{target}'");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
        Assert.Equal(before, await cluster.TextAsync("postgres", $"SELECT oid::text FROM pg_database WHERE datname = '{target}'"));
    }

    [Fact]
    public async Task A_failure_in_the_middle_leaves_an_existing_empty_database_empty()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.FailingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = await cluster.CreateDatabaseAsync("SELECT 1");
        await gate.CloseAsync(cluster);

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(5).Says("the gate is closed");

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"));
        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"));
        await gate.OpenAsync(cluster);
    }

    [Fact]
    public async Task A_failure_in_the_middle_leaves_no_new_database()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.FailingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = RestoreHelp.NewName();
        await gate.CloseAsync(cluster);

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(5).Says("the gate is closed");

        await cluster.NothingIsLeftAsync(target);
        await gate.OpenAsync(cluster);
    }

    // Guards against this: without a word a live database got every row of a table without a key twice.
    [Fact]
    public async Task A_database_with_objects_is_refused_and_keeps_its_rows()
    {
        var database = await cluster.CreateDatabaseAsync(Samples.SmallTables);
        using var work = new Workspace(cluster, database);
        await work.BackupAsync();
        await cluster.ExecuteAsync(database, "INSERT INTO keyless VALUES ('written since the backup')");

        (await work.RunAsync("restore", "--latest", "--yes")).Expect(1).Says("has objects; nothing was changed").Says("hint: --target-db");

        Assert.Equal("2", await cluster.TextAsync(database, "SELECT count(*) FROM keyless"));
        Assert.Equal("5000", await cluster.TextAsync(database, "SELECT count(*) FROM videos"));
    }

    [Theory]
    [InlineData("CREATE FUNCTION only_this() RETURNS int LANGUAGE sql AS 'SELECT 1'")]
    [InlineData("CREATE TYPE only_this AS ENUM ('a')")]
    [InlineData("CREATE SCHEMA only_this")]
    [InlineData("SELECT lo_create(0)")]
    [InlineData("CREATE EXTENSION citext")]
    [InlineData("CREATE PUBLICATION only_this FOR ALL TABLES")]
    [InlineData("CREATE FOREIGN DATA WRAPPER only_this")]
    [InlineData("CREATE CAST (int AS xml) WITH INOUT")]
    [InlineData("CREATE TEXT SEARCH CONFIGURATION only_this (COPY = english)")]
    [InlineData("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")]
    public async Task A_database_without_tables_but_with_other_objects_is_not_empty(string sql)
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync(sql);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(1).Says("has objects; nothing was changed");

        Assert.Null(await cluster.TextAsync(target, "SELECT to_regclass('videos')::text"));
    }

    // Guards against this: --clean without a terminal died of EOFError.
    [Theory]
    [InlineData("--clean")]
    [InlineData("--swap")]
    public async Task Replacing_a_database_is_refused_where_nobody_can_be_asked(string how)
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        (await sample.Work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            target,
            how)).Expect(2).Says("no terminal").Says("hint: add --yes");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    [Theory]
    [InlineData("no\n")]
    [InlineData("y\n")]
    [InlineData("\n")]
    public async Task Anything_but_yes_on_the_terminal_changes_nothing(string answer)
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        var result = (await sample.Work.RunOnTerminalAsync(answer, "restore", "--latest", "--target-db", target, "--clean")).Expect(130);

        Assert.Contains($"Database \"{target}\" has objects. Drop it and restore set {sample.Id}", result.Output, StringComparison.Ordinal);
        Assert.Contains("nothing was changed", result.Output, StringComparison.Ordinal);
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    [Fact]
    public async Task Yes_on_the_terminal_drops_and_restores()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        (await sample.Work.RunOnTerminalAsync("yes\n", "restore", "--latest", "--target-db", target, "--clean")).Expect(0);

        Assert.Null(await cluster.TextAsync(target, "SELECT to_regclass('precious')::text"));
        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task Clean_with_yes_drops_and_restores_though_clients_are_connected()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");
        await using var client = await cluster.OpenAsync(target);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes")).Expect(0);

        Assert.Null(await cluster.TextAsync(target, "SELECT to_regclass('precious')::text"));
        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    public async Task Clean_drops_nothing_for_a_set_that_is_damaged(string encryption)
    {
        using var sample = await samples.SmallAsync(cluster, encryption);
        var edit = sample.Edit();
        SetEditor.FlipBit(edit[edit.Key("dump")]);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes"))
            .Expect(8).Says("nothing was dropped").Says(edit.Key("dump"));

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    // The stored bytes are as recorded; only decoding and reading the archive shows that it is no use.
    [Fact]
    public async Task Clean_drops_nothing_for_a_set_whose_archive_lacks_a_table()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => c["tables"]![0]!["name"] = "not in the archive");
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes"))
            .Expect(8).Says("nothing was dropped").Says("not in the archive");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    // Guards against this: --clean on an empty database failed.
    [Fact]
    public async Task Clean_on_an_empty_database_works_and_asks_nothing()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("SELECT 1");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean")).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task Clean_on_a_missing_database_makes_it()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean")).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task Swap_puts_the_restored_database_in_place_and_keeps_the_old_one()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        var document = await sample.Work.JsonAsync(0, "restore", "--latest", "--target-db", target, "--swap", "--yes");

        var kept = document.GetProperty("restores")[0].GetProperty("result").GetProperty("keptAs").GetString()!;
        Assert.StartsWith($"{target}_old_", kept, StringComparison.Ordinal);
        Assert.Equal("1", await cluster.TextAsync(kept, "SELECT count(*) FROM precious"));
        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
        Assert.False(await cluster.DatabaseExistsAsync(RestoreHelp.WorkingName(target)));
    }

    [Fact]
    public async Task Swap_succeeds_while_clients_reconnect_all_the_time()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 4).Select(_ => Task.Run(() => ReconnectAsync(target, stop.Token))).ToList();

        var document = await sample.Work.JsonAsync(0, "restore", "--latest", "--target-db", target, "--swap", "--yes");
        await stop.CancelAsync();
        var connections = await Task.WhenAll(clients);

        Assert.All(connections, static n => Assert.True(n > 0, "a client never got in"));
        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
        var kept = document.GetProperty("restores")[0].GetProperty("result").GetProperty("keptAs").GetString()!;
        Assert.Equal("1", await cluster.TextAsync(kept, "SELECT count(*) FROM precious"));
    }

    [Fact]
    public async Task A_difference_prevents_the_swap()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => Table(c, "videos")["rows"] = 5001);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--swap", "--yes")).Expect(8).Says("differ");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
        Assert.Null(await cluster.SiblingAsync(target, "old"));
        Assert.NotNull(await cluster.SiblingAsync(target, "differs"));
    }

    [Fact]
    public async Task A_name_longer_than_PostgreSQL_allows_is_refused_and_not_cut()
    {
        using var sample = await samples.SmallAsync(cluster);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", new string('n', 64))).Expect(2).Says("63");
    }

    internal static System.Text.Json.Nodes.JsonObject Table(System.Text.Json.Nodes.JsonObject contents, string name) =>
        contents["tables"]!.AsArray().Select(static t => t!.AsObject()).Single(t => (string?)t["name"] == name);

    private async Task<int> ReconnectAsync(string database, CancellationToken stop)
    {
        var connections = 0;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await cluster.TextAsync(database, "SELECT 1");
                connections++;
            }
            catch (Npgsql.NpgsqlException)
            {
                // Ended, refused, or the name is gone for a moment: a client tries again.
            }
        }

        return connections;
    }
}
