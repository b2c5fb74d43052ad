using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>
/// What root makes in folders of PostgreSQL's user belongs to that user, who could not go on otherwise. Where the tests do not run
/// as root, all is done by one user, and the same holds.
/// </summary>
public sealed class OwnershipTests
{
    [Fact]
    public async Task What_root_repairs_and_backs_up_PostgreSQLs_user_can_read_and_go_on_with()
    {
        await using var cluster = new ArchivedCluster();
        await cluster.InitializeAsync();
        var segments = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            segments.Add(await cluster.SwitchWalAsync());
        }

        await cluster.ArchivedAsync(segments[^1]);
        (await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile)).Expect(0);
        segments.Add(await cluster.SwitchWalAsync());
        segments.Add(await cluster.SwitchWalAsync());
        await cluster.ArchivedAsync(segments[^1]);
        var lost = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", segments[^2]);
        File.Delete(lost);
        File.Delete($"{lost}.sha256");

        Assert.Contains($"repaired {segments[^2]}", (await AsTesterAsync("wal-archive", "verify", "--repair", "--env-file", cluster.EnvFile)).Expect(0).Output, StringComparison.Ordinal);
        (await AsTesterAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile)).Expect(0);

        await NothingOfAnotherUserAsync(cluster);
        (await cluster.RunAsync("wal-archive", "verify", "--env-file", cluster.EnvFile)).Expect(0);
        (await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile)).Expect(0);
        (await cluster.RunAsync("backup", "verify", "--all", "--env-file", cluster.EnvFile)).Expect(0);
    }

    [Fact]
    public async Task After_a_receiver_of_roots_PostgreSQLs_user_receives()
    {
        await using var cluster = new ReceivingCluster();
        await cluster.InitializeAsync();
        string[] command = [Workspace.Executable, "wal-archive", "receive", "--flush-seconds", "1", "--env-file", cluster.EnvFile];
        await using (var first = new Receiver(Command.Start("/usr/bin/env", ["--default-signal", .. command], null, "/")))
        {
            await first.StreamsAsync();
            await cluster.FillAsync();
            await Eventually.TrueAsync(async () => (await cluster.PiecesAsync()).Length > 0, "pieces are stored");
            Assert.Equal(0, await first.EndAsync());
        }

        await NothingOfAnotherUserAsync(cluster);
        await using var second = await cluster.ReceiveAsync();
        var last = await cluster.FillAsync();
        await cluster.ConvergesAsync(last);
    }

    [Fact]
    public async Task After_a_verify_of_roots_under_a_strict_umask_PostgreSQLs_user_removes_what_is_old()
    {
        await using var cluster = new ArchivedCluster();
        await cluster.InitializeAsync();
        (await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile)).Expect(0);

        (await Command.RunAsync(
            "/bin/sh", ["-c", "umask 077; exec \"$@\"", "sh", Workspace.Executable, "backup", "verify", "--all", "--env-file", cluster.EnvFile], null, "/")).Expect(0);

        await NothingOfAnotherUserAsync(cluster);
        Assert.Equal("-rw-r--r--\n", (await Command.ShellAsync($"find \"{cluster.Site}\" -name 'set-*.lock' -printf '%M\\n'")).Output);
        (await cluster.RunAsync("wal-archive", "cleanup", "--env-file", cluster.EnvFile)).Expect(0);
        (await cluster.RunAsync("backup", "expire", "--env-file", cluster.EnvFile)).Expect(0);
    }

    private static Task<CommandResult> AsTesterAsync(params string[] arguments) =>
        Command.RunAsync(Workspace.Executable, arguments, null, "/");

    private static async Task NothingOfAnotherUserAsync(ArchivingCluster cluster) => Assert.Equal(
        string.Empty, (await Command.ShellAsync($"find \"{cluster.Site}\" ! -user $(stat -c %U \"{cluster.DataDirectory}\") -print")).Output);
}
