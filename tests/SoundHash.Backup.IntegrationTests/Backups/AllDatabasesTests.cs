using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>A cluster of its own, since these tests count the databases of a server.</summary>
public sealed class ManyDatabasesCluster : PostgresCluster;

/// <summary>--all-databases: one set for each, and one failure costs one set.</summary>
public sealed class AllDatabasesTests(ManyDatabasesCluster cluster) : IClassFixture<ManyDatabasesCluster>
{
    private const int Databases = 50;

    // Guards against this: one part that failed ended all the rest, and no result said what became of which.
    [Fact]
    public async Task Of_50_databases_one_that_fails_costs_its_own_set_only_and_the_worst_exit_code_wins()
    {
        await cluster.ExecuteAsync("postgres", "CREATE ROLE backer LOGIN");
        await cluster.ExecuteAsync("postgres", "CREATE DATABASE seed");
        await cluster.ExecuteAsync("seed", PostgresPrograms.LetRead("backer"));
        await cluster.ExecuteAsync("seed", "CREATE TABLE t AS SELECT generate_series(1, 3) AS id");
        // Another test of this class may have made one before.
        var there = int.Parse(
            (await cluster.TextAsync("postgres", "SELECT count(*) FROM pg_database WHERE NOT datistemplate"))!,
            System.Globalization.CultureInfo.InvariantCulture);
        for (var i = 1; i <= Databases - there; i++)
        {
            await cluster.ExecuteAsync("postgres", $"CREATE DATABASE \"Base {i:00}\" TEMPLATE seed {(PostgresPrograms.Major >= 15 ? "STRATEGY file_copy" : string.Empty)}");
        }

        await cluster.ExecuteAsync(
            "Base 07",
            "CREATE TABLE \"hidden rows\" (id int); ALTER TABLE \"hidden rows\" ENABLE ROW LEVEL SECURITY");
        using var work = new Workspace(cluster, "postgres");
        work.Set("DATABASE_USER", "backer");

        var document = await work.JsonAsync(5, "backup", "--all-databases", "--jobs", "1");

        var items = document.GetProperty("databases").EnumerateArray().ToList();
        Assert.Equal(Databases, items.Count);
        var failed = Assert.Single(items, static i => i.TryGetProperty("error", out _));
        Assert.Equal("Base 07", failed.GetProperty("database").GetString());
        Assert.Contains("hidden rows", failed.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(5, document.GetProperty("exitCode").GetInt32());
        var listed = await work.ListedAsync();
        Assert.Equal(Databases - 1, listed.Count);
        Assert.All(listed, id => Assert.True(File.Exists(Path.Combine(work.SetFolder(id), "globals.sql.zst"))));
        Assert.Single(listed.Select(id => ManifestText(work, id, "runId")).Distinct());
        (await work.RunAsync("backup", "verify", "--all")).Expect(0);
    }

    [Fact]
    public async Task Excluded_databases_are_left_out_and_an_unknown_one_is_a_mistake()
    {
        using var work = new Workspace(cluster, "postgres");
        // Without a table: before PostgreSQL 14 the role of the other test could not read it.
        await cluster.CreateDatabaseAsync("SELECT 1", "kept");

        var plan = await work.JsonAsync(0, "backup", "--all-databases", "--dry-run", "--exclude-database", "postgres");
        var names = plan.GetProperty("databases").EnumerateArray().Select(static d => d.GetString()!).ToList();
        Assert.DoesNotContain("postgres", names);
        Assert.DoesNotContain("template1", names);
        Assert.Contains(names, static n => n.StartsWith("kept_", StringComparison.Ordinal));

        (await work.RunAsync("backup", "--all-databases", "--exclude-database", "no such")).Expect(2).Says("no such").Says("postgres");
        (await work.RunAsync("backup", "--exclude-database", "postgres")).Expect(2);
        (await work.RunAsync("backup", "--all-databases", "--database", "postgres")).Expect(2);
        Assert.False(Directory.Exists(work.Repository));
    }

    private static string ManifestText(Workspace work, string id, string property)
    {
        using var manifest = System.Text.Json.JsonDocument.Parse(Command.ReadText(Path.Combine(work.SetFolder(id), "manifest.json")));
        return manifest.RootElement.GetProperty(property).GetString()!;
    }
}
