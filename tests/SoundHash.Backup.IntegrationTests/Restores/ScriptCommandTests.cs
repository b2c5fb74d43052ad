using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Scripts with psql's own commands, which would run programs as the user that restores.</summary>
public sealed class ScriptCommandTests(PostgresCluster cluster)
{
    [Theory]
    [InlineData("\\! touch ran")]
    [InlineData("COPY t FROM stdin;\n1\n\\.\n\\! touch ran")]
    [InlineData("SELECT 1 \\g |touch ran")]
    [InlineData("\\o ran")]
    public async Task A_command_of_psql_in_a_script_is_refused_and_not_run(string line)
    {
        using var work = new Workspace(cluster, "postgres");
        await File.WriteAllTextAsync(Path.Combine(work.Folder, "x.sql"), $"CREATE TABLE t (x int);\n{line}\n", TestContext.Current.CancellationToken);
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--file", "x.sql", "--target-db", target)).Expect(2).Says("psql's own command \\").Says("psql --file");

        Assert.False(File.Exists(Path.Combine(work.Folder, "ran")));
        Assert.False(await cluster.DatabaseExistsAsync(target));
    }
}
