using SoundHash.Backup.IntegrationTests.Backups;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Cli;

/// <summary>What comes from the place where shbackup is run: signals of its terminal, files of other people.</summary>
public sealed class SurroundingsTests(PostgresCluster cluster)
{
    [Fact]
    public async Task A_backup_whose_terminal_hangs_up_is_cancelled_and_leaves_no_file_and_no_process()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        var mark = work.Mark();
        using (var gate = new DumpGate(work, Moment.InTheMiddle))
        {
            using var backup = work.Start("backup");
            await gate.ReachedAsync(backup);

            (await backup.EndAsync("HUP")).Expect(130).Says("cancelled");
        }

        Assert.Empty(work.SetFiles());
        Assert.Empty(BackupProbe.ProcessesOf(mark));
    }

    [Fact]
    public async Task Under_nohup_a_backup_goes_on_when_its_terminal_hangs_up()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        (await work.RunAsync("--version")).Expect(0);
        using var backup = Command.Start("/usr/bin/nohup", [Workspace.Executable, "backup"], work.CleanEnvironment(), work.Folder);
        await gate.ReachedAsync(backup);

        await RestoreHelp.SignalAsync(backup, "HUP");
        gate.Open();

        (await Command.FinishAsync(backup)).Expect(0);
        Assert.Single(await work.ListedAsync());
    }

    [Fact]
    public async Task An_env_file_of_another_user_is_not_taken_unless_it_is_named()
    {
        using var work = new Workspace(cluster, "postgres");
        (await work.RunAsync("backup", "list")).Expect(0);
        var env = Path.Combine(work.Folder, ".env");
        await Command.ShellAsync($"mv '{env}' '{env}.own'; cp '{env}.own' '{env}.other'; chown 54321 '{env}.other'");

        string[] ways =
        [
            $"cp -a '{env}.other' '{env}'", $"ln -s '{env}.other' '{env}'", $"ln -s '{env}.own' '{env}'; chown -h 54321 '{env}'",
        ];
        foreach (var make in ways)
        {
            await Command.ShellAsync($"rm -f '{env}'; {make}");

            var refused = await RunAsync(work, "backup", "list");
            refused.Expect(3).Says($"{env} belongs to another user").Says($"--env-file {env}");
            (await RunAsync(work, "backup", "list", "--env-file", ".env")).Expect(0);
        }

        await Command.ShellAsync($"rm -f '{env}'; ln -s '{env}.own' '{env}'");
        (await RunAsync(work, "backup", "list")).Expect(0);
    }

    [Fact]
    public async Task An_env_file_that_can_not_be_read_is_an_error_and_a_folder_of_that_name_is_none()
    {
        using var work = new Workspace(cluster, "postgres");
        var env = Path.Combine(work.Folder, ".env");

        await Command.ShellAsync($"ln -s '{env}.missing' '{env}'");
        (await RunAsync(work, "backup", "list")).Expect(3).Says($"can't read {env}");

        await Command.ShellAsync($"rm '{env}'; mkdir '{env}'");
        (await RunAsync(work, "backup", "list")).Expect(0);
    }

    [Fact]
    public async Task A_signal_while_the_post_hook_runs_stops_the_hook_and_the_set_is_kept_and_reported()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS id"));
        work.Set("BACKUP_HOOK_POST_BACKUP", "'touch reached; sleep 1000'");
        using var backup = work.Start("backup", "--json");
        await Eventually.TrueAsync(() => Task.FromResult(File.Exists(Path.Combine(work.Folder, "reached"))), "the hook runs");

        await RestoreHelp.SignalAsync(backup, "TERM");

        var result = (await Command.FinishAsync(backup)).Expect(130)
            .Says("cancelled: the backup was done; only BACKUP_HOOK_POST_BACKUP, which ran after it, was stopped");
        Assert.DoesNotContain("undone", result.Error, StringComparison.Ordinal);
        using var document = System.Text.Json.JsonDocument.Parse(result.Output);
        Assert.Equal(130, document.RootElement.GetProperty("exitCode").GetInt32());
        var id = document.RootElement.GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!;
        Assert.True(File.Exists(Path.Combine(work.SetFolder(id), "manifest.json")));
    }

    [Fact]
    public async Task A_hook_may_leave_a_program_in_the_background()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)"));
        work.Set("BACKUP_HOOK_POST_BACKUP", "'sleep 1000 & echo $! > pid'");

        var backup = (await work.RunAsync("backup")).Expect(0);

        await Command.ShellAsync("kill $(cat pid)", directory: work.Folder);
        backup.Says("left a program in the background");
    }

    // Without writing the .env file again.
    private static Task<CommandResult> RunAsync(Workspace work, params string[] arguments) =>
        Command.RunAsync(Workspace.Executable, arguments, work.CleanEnvironment(), work.Folder);
}
