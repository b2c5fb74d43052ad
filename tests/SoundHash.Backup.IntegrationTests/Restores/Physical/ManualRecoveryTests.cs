using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>Set and WAL outlive shbackup: the commands of docs/formats.md and docs/pitr.md recover to a moment with public programs alone.</summary>
public sealed class ManualRecoveryTests(LostCluster cluster) : IClassFixture<LostCluster>
{
    [Fact]
    public async Task The_commands_of_the_documentation_recover_to_a_moment_without_shbackup()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        // The recipe's restore_command has no quotes for a path with a quote in it.
        var archive = Directory.GetDirectories(cluster.Archive).Single();
        File.CreateSymbolicLink(Path.Combine(restored.Folder, "wal"), archive);
        var environment = new Dictionary<string, string?>
        {
            ["SET"] = Path.Combine(cluster.Site, "backups", "sets", cluster.Set),
            ["TARGET"] = restored.Data,
            ["TABLESPACES"] = Path.Combine(restored.Folder, "spaces"),
            ["WAL"] = Path.Combine(restored.Folder, "wal"),
            ["MOMENT"] = cluster.ThirdTime,
            ["SCRIPT"] = Recipes.Read("formats.md", "physical recipe") + Recipes.Read("pitr.md", "pitr recipe"),
            ["PATH"] = $"{PostgresPrograms.Directory}:{Environment.GetEnvironmentVariable("PATH")}",
            ["PGHOST"] = cluster.Host,
            ["PGUSER"] = "postgres",
        };

        var drop = Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;
        var said = await Command.ShellAsync($"{drop} bash -c \"$SCRIPT\"", environment, cluster.Host);

        Assert.Contains(cluster.ThirdTime[..10], said.Output, StringComparison.Ordinal);
        // It has the settings of the lost server, its socket among them.
        Assert.Equal("1,2,3", await cluster.TextAsync("postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM rows"));
    }
}
