using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>A cluster of its own, since every database of it is backed up, and template1 changes.</summary>
public sealed class TemplatesCluster : PostgresCluster;

/// <summary>
/// IS_TEMPLATE is a usual guard against DROP DATABASE. Guards against this: --all-databases left such databases out without
/// a word, where pg_dumpall takes them.
/// </summary>
public sealed class TemplateTests(TemplatesCluster cluster, EmptyCluster target)
    : IClassFixture<TemplatesCluster>, IClassFixture<EmptyCluster>
{
    [Fact]
    public async Task A_database_that_is_marked_as_a_template_is_backed_up_and_comes_back_as_one()
    {
        var guarded = await GuardedAsync();
        using var work = new Workspace(cluster, "postgres");

        (await work.RunAsync("backup", "--all-databases")).Expect(0);

        work.Set("DATABASE_HOST", target.Host);
        (await work.RunAsync("restore", "--latest", "--all-databases")).Expect(0);
        Assert.Equal("1", await target.TextAsync(guarded, "SELECT x FROM precious"));
        Assert.Equal("True", await IsTemplateAsync(guarded));
        // It is guarded again; what is beside it is a copy to look at.
        string[] restore = ["restore", "--latest", "--database", guarded];
        (await work.RunAsync([.. restore, "--clean", "--yes"])).Expect(2).Says("hint: restore into a database of another name").Says("IS_TEMPLATE false");
        var copy = RestoreHelp.NewName();
        (await work.RunAsync([.. restore, "--target-db", copy])).Expect(0);
        Assert.Equal("False", await IsTemplateAsync(copy));
    }

    [Theory]
    [InlineData("--swap")]
    [InlineData("--clean")]
    public async Task A_template_that_is_put_in_the_place_of_a_database_is_marked_last_and_a_plan_says_so(string how)
    {
        var guarded = await GuardedAsync();
        using var work = new Workspace(cluster, guarded);
        await work.BackupAsync();
        work.Set("DATABASE_HOST", target.Host);
        await target.ExecuteAsync("postgres", $"CREATE DATABASE {guarded}");
        await target.ExecuteAsync(guarded, "CREATE TABLE old ()");
        string[] restore = ["restore", "--latest", how, "--yes"];

        var plan = await work.JsonAsync(0, [.. restore, "--plan"]);
        (await work.RunAsync(restore)).Expect(0);

        Assert.Equal("mark it as a template", plan.GetProperty("plans")[0].GetProperty("steps").EnumerateArray().Last().GetString());
        Assert.Equal("True", await IsTemplateAsync(guarded));
        Assert.Equal("1", await target.TextAsync(guarded, "SELECT x FROM precious"));
        // Other tests take all databases there are.
        foreach (var server in (PostgresCluster[])[cluster, target])
        {
            await server.ExecuteAsync("postgres", $"ALTER DATABASE {guarded} IS_TEMPLATE false");
            await server.ExecuteAsync("postgres", $"DROP DATABASE {guarded} WITH (FORCE)");
        }
    }

    [Fact]
    public async Task Template1_is_backed_up_when_it_has_objects_and_is_restored_beside_only()
    {
        using var work = new Workspace(cluster, "postgres");
        Assert.DoesNotContain("template1", await ChosenAsync(work));
        await cluster.ExecuteAsync("template1", "CREATE TABLE in_all AS SELECT 1 AS x");
        try
        {
            Assert.Contains("template1", await ChosenAsync(work));
            Assert.DoesNotContain("template1", await ChosenAsync(work, "--exclude-database", "template1"));
            Assert.DoesNotContain("template0", await ChosenAsync(work));
            (await work.RunAsync("backup", "--all-databases")).Expect(0);
        }
        finally
        {
            await cluster.ExecuteAsync("template1", "DROP TABLE in_all");
        }

        work.Set("DATABASE_HOST", target.Host);
        (await work.RunAsync("restore", "--latest", "--all-databases", "--plan")).Says("the set of template1 is left out").Says("--target-db NAME");
        var copy = RestoreHelp.NewName();
        (await work.RunAsync("restore", "--latest", "--database", "template1", "--target-db", copy)).Expect(0);
        Assert.Equal("1", await target.TextAsync(copy, "SELECT x FROM in_all"));
        Assert.Equal("False", await IsTemplateAsync(copy));
    }

    [Fact]
    public async Task A_database_that_can_not_be_dumped_is_left_out_with_a_warning_that_names_it()
    {
        var (invalid, closed) = (RestoreHelp.NewName("invalid"), RestoreHelp.NewName("closed"));
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {invalid}");
        await cluster.ExecuteAsync("postgres", $"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{invalid}'");
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {closed} ALLOW_CONNECTIONS false");
        using var work = new Workspace(cluster, "postgres");
        try
        {
            var result = (await work.RunAsync("backup", "--all-databases")).Expect(0);

            result.Says($"database \"{invalid}\" is left out: it is what an interrupted DROP DATABASE left");
            result.Says($"database \"{closed}\" is left out: it allows no connections");
            var quiet = await work.RunAsync(
                "backup", "--all-databases", "--dry-run", "--exclude-database", invalid, "--exclude-database", closed);
            Assert.DoesNotContain("left out", quiet.Expect(0).Error, StringComparison.Ordinal);
        }
        finally
        {
            await cluster.ExecuteAsync("postgres", $"DROP DATABASE {invalid}");
            await cluster.ExecuteAsync("postgres", $"DROP DATABASE {closed}");
        }
    }

    private static async Task<IReadOnlyList<string>> ChosenAsync(Workspace work, params string[] more) =>
        (await work.JsonAsync(0, ["backup", "--all-databases", "--dry-run", .. more])).GetProperty("databases")
            .EnumerateArray().Select(static d => d.GetString()!).ToList();

    private async Task<string> GuardedAsync()
    {
        var name = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x", "guarded");
        await cluster.ExecuteAsync("postgres", $"ALTER DATABASE {name} IS_TEMPLATE true");
        return name;
    }

    private Task<string?> IsTemplateAsync(string database) =>
        target.TextAsync("postgres", $"SELECT datistemplate FROM pg_database WHERE datname = '{database}'");
}
