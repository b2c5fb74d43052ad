using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>--plan says what would be done, and --all-databases does it for each.</summary>
public sealed class PlanTests(PostgresCluster cluster, Samples samples)
{
    [Fact]
    public async Task A_plan_shows_set_target_sizes_time_and_steps_and_changes_nothing()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        var text = (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--clean", "--plan")).Expect(0).Output;
        var plan = (
            await sample.Work.JsonAsync(0, "restore", "--latest", "--target-db", target, "--clean", "--plan")).GetProperty("plans")[0];

        foreach (var part in new[] { sample.Id, Samples.SmallDatabase, "tier standard", "age ", "copies local", "has objects", "to load", "free ", "expected ", "in depth", $"drop database \"{target}\"" })
        {
            Assert.Contains(part, text, StringComparison.Ordinal);
        }

        Assert.True(plan.GetProperty("freeBytes").GetInt64() > 0);
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    [Theory]
    [InlineData("missing", "make a new database under a working name")]
    [InlineData("empty", "load into the existing database")]
    [InlineData("has objects", "refuse")]
    public async Task A_plan_tells_the_state_of_its_target(string state, string step)
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = state == "missing" ? RestoreHelp.NewName() : await cluster.CreateDatabaseAsync(
            state == "empty" ? "SELECT 1" : "CREATE TABLE t ()");

        var document = await sample.Work.JsonAsync(state == "has objects" ? 1 : 0, "restore", "--latest", "--target-db", target, "--plan");
        var plan = document.GetProperty("plans")[0];

        Assert.Equal(state == "has objects" ? 1 : 0, plan.GetProperty("problems").GetArrayLength());
        Assert.Equal(state, plan.GetProperty("targetState").GetString());
        Assert.Contains(plan.GetProperty("steps").EnumerateArray(), s => s.GetString()!.StartsWith(step, StringComparison.Ordinal));
        Assert.Equal(state != "missing", await cluster.DatabaseExistsAsync(target));
    }

    [Fact]
    public async Task A_plan_has_the_steps_in_the_order_of_the_restore()
    {
        using var sample = await samples.SmallAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE t ()");

        async Task<List<string>> StepsAsync(params string[] how) =>
            (await sample.Work.JsonAsync(0, ["restore", "--latest", "--target-db", target, .. how, "--plan"])).GetProperty("plans")[0]
                .GetProperty("steps").EnumerateArray().Select(static s => s.GetString()!).ToList();

        Assert.Equal(
            [
                $"verify set {sample.Id} in depth",
                "make missing roles and tablespaces",
                "check that the server has the roles, tablespaces and extensions that are needed",
                "make a new database under a working name",
                $"drop database \"{target}\"",
                "load into the new database, one stream",
                "compare the rows of 3 tables and analyze",
                $"give it the name \"{target}\"",
            ],
            await StepsAsync("--clean", "--globals"));
        Assert.Equal($"swap names with \"{target}\" and keep the old database", (await StepsAsync("--swap"))[^1]);
        Assert.Equal("make a new database under a working name", (await StepsAsync("--swap"))[1]);
    }

    [Fact]
    public async Task All_databases_come_back_each_under_its_name_and_one_failure_does_not_stop_the_rest()
    {
        var names = new List<string>();
        using var work = new Workspace(cluster, "postgres");
        for (var i = 0; i < 3; i++)
        {
            names.Add(await cluster.CreateDatabaseAsync($"CREATE TABLE t AS SELECT {i} AS x"));
            await work.BackupAsync("--database", names[i]);
        }

        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {names[0]}");
        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {names[2]}");

        (await work.RunAsync("restore", "--latest", "--all-databases")).Expect(1).Says($"database \"{names[1]}\" has objects");

        Assert.Equal("0", await cluster.TextAsync(names[0], "SELECT x FROM t"));
        Assert.Equal("2", await cluster.TextAsync(names[2], "SELECT x FROM t"));
        (await work.RunAsync("restore", "--latest", "--all-databases", "--target-db", "one")).Expect(2);
    }

    [Theory]
    [InlineData]
    [InlineData("--latest", "--list")]
    [InlineData("--backup", "x", "--database", "y")]
    [InlineData("--latest", "--all-databases", "--database", "y")]
    public async Task What_to_restore_must_be_said_once(params string[] arguments)
    {
        using var sample = await samples.SmallAsync(cluster);

        (await sample.Work.RunAsync(["restore", .. arguments])).Expect(2).Says("hint: shbackup restore --help");
    }
}
