using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>
/// What fails before the drop of an old database costs nothing, and what fails after the load of a new one does not
/// cost the load.
/// </summary>
public sealed class LateFailureTests(PostgresCluster cluster, Samples samples)
{
    private const string Precious = "CREATE TABLE precious AS SELECT 1 AS x";

    [Fact]
    public async Task Clean_drops_nothing_when_a_right_of_the_database_can_not_be_given()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => c["database"]!["grants"] = new System.Text.Json.Nodes.JsonArray(
            new System.Text.Json.Nodes.JsonObject { ["role"] = "nobody_has_this_role", ["privilege"] = "CONNECT", ["grantable"] = false }));
        var target = await cluster.CreateDatabaseAsync(Precious);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes"))
            .Expect(5).Says("nobody_has_this_role").Says("hint:").Says("--no-privileges");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
        Assert.False(await cluster.DatabaseExistsAsync(RestoreHelp.WorkingName(target)));
        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes", "--no-privileges")).Expect(0);
    }

    [Theory]
    [InlineData("collate", "xx_XX.utf8", 5)]
    [InlineData("tablespace", "no_such_space", 1)]
    public async Task Clean_drops_nothing_when_the_new_database_can_not_be_made(string property, string value, int exitCode)
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(c => c["database"]![property] = value);
        var target = await cluster.CreateDatabaseAsync(Precious);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes")).Expect(exitCode).Says(value);

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    [Fact]
    public async Task A_failure_after_the_drop_says_that_the_old_database_is_gone()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.FailingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Precious);
        await gate.CloseAsync(cluster);

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes"))
            .Expect(5).Says("the gate is closed").Says("was dropped before and is not restored yet");

        await cluster.NothingIsLeftAsync(target);
        await gate.OpenAsync(cluster);
        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);
    }

    [Theory]
    [InlineData("")]
    [InlineData("--swap")]
    public async Task A_session_that_sits_in_the_loaded_database_does_not_stop_it_from_getting_its_name(string mode)
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.WaitingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = mode.Length == 0 ? RestoreHelp.NewName() : await cluster.CreateDatabaseAsync(Precious);
        await gate.CloseAsync(cluster);
        string[] arguments = ["restore", "--latest", "--target-db", target, .. mode.Length == 0 ? Array.Empty<string>() : [mode, "--yes"]];
        using var restore = work.Start(arguments);
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));
        await using var sitting = await cluster.OpenAsync(RestoreHelp.WorkingName(target));

        await gate.OpenAsync(cluster);

        (await Command.FinishAsync(restore)).Expect(0);
        Assert.Equal("1000", await cluster.TextAsync(target, "SELECT count(*) FROM a_before"));
    }

    [Fact]
    public async Task A_failure_after_the_load_keeps_what_was_loaded_and_names_it()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();
        // Somebody makes a database of the target's name while we analyze.
        sample.Work.FakePrograms(
            "vacuumdb", $"psql -X -q -h {cluster.Host} -U postgres -d postgres -c 'CREATE DATABASE {target}' && exec $REAL \"$@\"");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target))
            .Expect(5).Says("already exists").Says("the rows are loaded").Says("hint:");

        var kept = await cluster.SiblingAsync(target, "restored");
        Assert.NotNull(kept);
        Assert.Equal("5000", await cluster.TextAsync(kept, "SELECT count(*) FROM videos"));
        Assert.False(await cluster.DatabaseExistsAsync(RestoreHelp.WorkingName(target)));
    }

    [Fact]
    public async Task A_failing_ANALYZE_is_a_warning_and_costs_nothing()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = RestoreHelp.NewName();
        sample.Work.FakePrograms("vacuumdb", "echo 'no memory' >&2; exit 1");

        (await sample.Work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            target)).Expect(0).Says("no memory").Says("vacuumdb --analyze-only");

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task A_swap_past_a_session_that_we_may_not_end_leaves_every_name_as_it_was()
    {
        using var sample = await samples.SmallAsync(cluster);
        var role = RestoreHelp.NewName("swapper");
        await cluster.ExecuteAsync("postgres", $"CREATE ROLE {role} LOGIN CREATEDB");
        var target = await cluster.CreateDatabaseAsync(Precious);
        await cluster.ExecuteAsync("postgres", $"ALTER DATABASE {target} OWNER TO {role}");
        await using var superuser = await cluster.OpenAsync(target);
        sample.Work.Set("DATABASE_USER", role);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--swap", "--yes", "--no-owner", "--no-privileges"))
            .Expect(5).Says("is being accessed by other users").Says("pg_stat_activity").Says("the rows are loaded");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
        Assert.Null(await cluster.SiblingAsync(target, "old"));
        Assert.NotNull(await cluster.SiblingAsync(target, "restored"));
    }

    [Fact]
    public async Task A_role_that_may_make_no_database_is_told_what_it_lacks()
    {
        using var sample = await samples.SmallAsync(cluster);
        var role = RestoreHelp.NewName("plain");
        await cluster.ExecuteAsync("postgres", $"CREATE ROLE {role} LOGIN");
        sample.Work.Set("DATABASE_USER", role);

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName(), "--no-owner", "--no-privileges"))
            .Expect(5).Says("permission denied to create database").Says("CREATEDB");
    }

    [Fact]
    public async Task A_setting_that_the_server_does_not_know_is_a_warning_and_costs_nothing()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => c["database"]!["settings"] = new System.Text.Json.Nodes.JsonArray(
            new System.Text.Json.Nodes.JsonObject { ["name"] = "gone_in_this_version", ["value"] = "on" },
            new System.Text.Json.Nodes.JsonObject { ["name"] = "work_mem", ["value"] = "9MB" }));
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0).Says("gone_in_this_version");

        Assert.Equal("9MB", await cluster.TextAsync(target, "SHOW work_mem"));
    }

    [Fact]
    public async Task What_a_failed_restore_made_is_dropped_though_it_holds_a_subscription()
    {
        var gate = new RestoreGate();
        var subscription = RestoreHelp.NewName("sub");
        var source = await cluster.CreateDatabaseAsync(
            $"{gate.FailingFunction}{RestoreGate.Tables}");
        await cluster.ExecuteAsync(
            source, $"CREATE SUBSCRIPTION {subscription} CONNECTION 'host=/nowhere dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        await cluster.ExecuteAsync(source, $"DROP SUBSCRIPTION {subscription}");
        var target = RestoreHelp.NewName();
        // The subscription is restored; what comes after it fails.
        work.FakePrograms(
            "pg_restore",
            "case \"$*\" in *--list*) exec $REAL \"$@\";; esac; $REAL \"$@\"; echo 'failed at last' >&2; exit 1");

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(5).Says("failed at last");

        await cluster.NothingIsLeftAsync(target);
        Assert.Equal("0", await cluster.TextAsync("postgres", $"SELECT count(*) FROM pg_subscription WHERE subname = '{subscription}'"));
    }

    [Fact]
    public async Task An_existing_database_keeps_its_own_properties_and_the_log_says_so()
    {
        var source = await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS x");
        await cluster.ExecuteAsync("postgres", $"ALTER DATABASE {source} SET work_mem = '9MB'");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = RestoreHelp.NewName();
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {target} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");

        (await work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            target)).Expect(0).Says("SQL_ASCII").Says("keeps its own owner, rights, settings");

        Assert.Equal("4MB", await cluster.TextAsync(target, "SHOW work_mem"));
    }

    [Fact]
    public async Task What_a_program_says_though_it_succeeds_is_a_warning_in_the_log()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.FakePrograms("pg_restore", "echo 'pg_restore: warning: something is odd' >&2; exec $REAL \"$@\"");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0).Says("something is odd");
    }

    // The session beside the target holds the lock that keeps other restores away.
    [Theory]
    [InlineData("--swap", false)]
    [InlineData("--clean", true)]
    public async Task Losing_the_session_that_keeps_others_away_stops_the_restore_and_says_what_is_left(string mode, bool dropped)
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.WaitingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Precious);
        await gate.CloseAsync(cluster);
        using var restore = work.Start("restore", "--latest", "--target-db", target, mode, "--yes");
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));

        var ended = await cluster.TextAsync(
            "postgres",
            $"""
            SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'shbackup'
              AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('shbackup restore {target}', 0)
            """);
        Assert.Equal("1", ended);

        var result = (await Command.FinishAsync(restore)).Expect(5).Says("keeps other restores away");
        Assert.Equal(dropped, result.Error.Contains("was dropped before and is not restored yet", StringComparison.Ordinal));
        Assert.Equal(!dropped, await cluster.DatabaseExistsAsync(target));
        await gate.OpenAsync(cluster);
        (await work.RunAsync("restore", "--latest", "--target-db", target, mode, "--yes")).Expect(0);
    }

    [Fact]
    public async Task A_script_that_goes_on_past_its_errors_is_refused_before_it_runs()
    {
        using var work = new Workspace(cluster, "postgres");
        await File.WriteAllTextAsync(
            Path.Combine(work.Folder, "x.sql"),
            "\\set ON_ERROR_STOP off\nCREATE TABLE t (x int);\nSELECT 1 / 0;\n",
            TestContext.Current.CancellationToken);
        var target = await cluster.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--file", "x.sql", "--target-db", target)).Expect(2).Says("psql's own command");
        Assert.Null(await cluster.TextAsync(target, "SELECT to_regclass('t')::text"));
    }

    [Fact]
    public async Task What_is_verified_before_a_database_is_dropped_is_held_to_BACKUP_RATE_LIMIT()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE old ()");
        var bytes = (long)sample.Edit().Object("dump")["plainBytes"]!;
        sample.Work.Set("BACKUP_RATE_LIMIT", (bytes / 3).ToString(System.Globalization.CultureInfo.InvariantCulture));
        var log = Path.Combine(sample.Work.Folder, "log");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--yes", "--log-file", log)).Expect(0);

        var lines = await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken);
        DateTimeOffset At(string text) => DateTimeOffset.Parse(
            lines.Single(l => l.Contains(text, StringComparison.Ordinal)).Split(' ')[0],
            System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange((At("dropping database") - At("verifying set")).TotalSeconds, 1.5, 60);
    }
}
