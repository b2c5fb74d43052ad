using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>Recovery beside the original, through the log of a CREATE TABLESPACE.</summary>
public sealed class ReplayedTablespaceTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    // Guards against this: replay makes the tablespace in the original's directory, and the copy's log is written over its tables.
    [Fact]
    public async Task A_recovery_that_would_make_a_tablespace_in_its_originals_directory_is_refused_and_a_later_set_goes_elsewhere()
    {
        HistoryCluster.Id(await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile, "--json"));
        var space = Path.Combine(cluster.Host, "later");
        Directory.CreateDirectory(space);
        await ArchivingCluster.GiveToPostgresAsync(space);
        await cluster.ExecuteAsync("postgres", $"CREATE TABLESPACE later LOCATION '{space}'");
        await cluster.ExecuteAsync("postgres", "CREATE TABLE inside TABLESPACE later AS SELECT 1 AS id");
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        await using var restored = await RestoredServer.PlaceAsync();
        string[] restore = ["restore", "--target-dir", restored.Data, "--env-file", cluster.EnvFile];

        (await cluster.RunAsync(restore)).Expect(1).Says("the recovery makes tablespace").Says(space).Says("nothing was changed").Says("--tablespace OLD=NEW");
        // Before it was made there is nothing to fear.
        (await cluster.RunAsync([.. restore, "--to-immediate", "--plan"])).Expect(0);
        Assert.False(Directory.Exists(restored.Data) && Directory.EnumerateFileSystemEntries(restored.Data).Any());

        var second = HistoryCluster.Id(await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile, "--json"));
        (await cluster.RunAsync([.. restore, "--backup", second, "--tablespace", $"later={restored.Folder}/space"])).Expect(0);
        Assert.Equal("1", await cluster.TextAsync("postgres", "SELECT count(*)::text FROM inside"));
    }

    // Its owner, whoever that is, decides what stands there.
    [Fact]
    public async Task A_pipe_in_the_place_of_another_servers_control_file_holds_no_restore()
    {
        HistoryCluster.Id(await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile, "--json"));
        using var theirs = new TempFolder("theirs");
        await Command.ShellAsync($"mkdir '{theirs["global"]}'; mkfifo '{theirs["global/pg_control"]}'; cp /bin/sleep '{theirs["postgres"]}'");
        await ArchivingCluster.GiveToPostgresAsync(theirs.Path);
        using var server = Command.Start(theirs["postgres"], ["600"], null, theirs.Path);
        try
        {
            (await cluster.RunAsync("restore", "--target-dir", theirs["new"], "--to-immediate", "--plan", "--env-file", cluster.EnvFile)).Expect(0);
        }
        finally
        {
            server.Kill();
        }
    }
}
