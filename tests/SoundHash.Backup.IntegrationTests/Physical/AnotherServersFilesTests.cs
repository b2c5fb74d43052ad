using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>
/// Where the server's data directory has a twin at the same path on another machine, as a standby's or a snapshot's: a container
/// in which shbackup runs, with the twin mounted there.
/// </summary>
public sealed class AnotherServersFilesTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    // Guards against this: the files of another server beside the log of this one, whose missing changes nothing replays.
    [Theory]
    [InlineData("standby", "no server that takes writes runs on it")]
    [InlineData("older", "the server's is")]
    public async Task A_directory_that_another_server_writes_is_not_read_and_the_servers_own_files_come_as_its_stream(string twin, string says)
    {
        using var folder = new TempFolder();
        if (twin == "standby")
        {
            await cluster.ExecuteAsync("postgres", "CHECKPOINT");
        }

        await CopyAsync(folder);
        if (twin == "standby")
        {
            MarkAsInRecovery(Path.Combine(folder.Path, "data", "global", "pg_control"));
        }
        else
        {
            await cluster.ExecuteAsync("postgres", "CREATE TABLE IF NOT EXISTS later (a int); INSERT INTO later VALUES (1); CHECKPOINT");
        }

        var result = (await BackupAsync(folder, $"twin-{twin}")).Expect(0);

        result.Says("is not what the server writes").Says(says).Says("pg_basebackup");
    }

    [Fact]
    public async Task A_copy_of_an_idle_server_that_no_checkpoint_told_apart_is_refused_when_the_backup_has_begun()
    {
        using var folder = new TempFolder();
        await cluster.ExecuteAsync("postgres", "CHECKPOINT");
        await CopyAsync(folder);

        (await BackupAsync(folder, "twin-idle")).Expect(3).Says("is a copy of the data directory of").Says("on the server's own machine");

        var listed = (await cluster.RunAsync("backup", "list", "--env-file", cluster.EnvFile)).Expect(0);
        Assert.DoesNotContain("twin-idle", listed.Output, StringComparison.Ordinal);
    }

    private Task<CommandResult> CopyAsync(TempFolder folder) => Command.ShellAsync(
        $"chmod 755 '{folder.Path}' && cp -a '{cluster.DataDirectory}' '{folder.Path}/data' && rm -f '{folder.Path}/data/postmaster.pid'");

    private Task<CommandResult> BackupAsync(TempFolder folder, string name)
    {
        var script =
            $"""
            mount --bind "$1/data" "$2"
            exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$3" backup --kind physical --name "$4" --env-file "$5"
            """;
        return Command.RunAsync(
            "unshare",
            ["--mount", "bash", "-euc", script, "bash", folder.Path, cluster.DataDirectory, Workspace.Executable, name, cluster.EnvFile],
            new Dictionary<string, string?>(),
            "/");
    }

    // DB_IN_ARCHIVE_RECOVERY, with all else as the primary's: what a standby's restartpoint writes.
    private static void MarkAsInRecovery(string controlFile)
    {
        using var file = File.OpenWrite(controlFile);
        file.Position = 16;
        file.WriteByte(5);
    }
}
