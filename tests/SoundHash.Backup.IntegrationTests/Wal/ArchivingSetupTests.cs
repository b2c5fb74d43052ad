using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>generate-config and status say when archiving can't work, or does not.</summary>
public sealed class ArchivingSetupTests
{
    private static bool IsRoot => Environment.UserName == "root";

    [Fact]
    public async Task Nothing_is_set_that_PostgreSQLs_user_could_not_run_and_the_remedy_named_works()
    {
        await using var cluster = await MadeAsync("chmod 600");
        var before = await cluster.TextAsync("postgres", "SHOW archive_command");

        var refused = await ApplyAsync(cluster);
        if (IsRoot)
        {
            refused.Expect(3).Says("PostgreSQL's user postgres can't read the settings").Says("chgrp postgres");
            Assert.Equal(before, await cluster.TextAsync("postgres", "SHOW archive_command"));
            await Command.ShellAsync(Remedy(refused));
            (await ApplyAsync(cluster)).Expect(3).Says("can't make BACKUP_WAL_DIR").Says("install -d -o postgres");
            await Command.ShellAsync(Remedy(await ApplyAsync(cluster)));
            await Command.ShellAsync(Remedy((await ApplyAsync(cluster)).Expect(3).Says("BACKUP_SPOOL_DIR")));
        }

        (await ApplyAsync(cluster)).Expect(0);
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
    }

    [Fact]
    public async Task What_archives_the_WAL_already_is_not_replaced_unless_that_is_asked_for()
    {
        await using var cluster = await MadeAsync("chmod 644");
        await ArchivingCluster.GiveToPostgresAsync(cluster.Site);
        const string Other = "pgbackrest --stanza=demo archive-push %p";
        await cluster.ExecuteAsync("postgres", $"ALTER SYSTEM SET archive_command = '{Other}'");
        await cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        await Eventually.TrueAsync(async () => await cluster.TextAsync("postgres", "SHOW archive_command") == Other, "the server has read it");

        (await ApplyAsync(cluster)).Expect(3).Says("nothing was set").Says(Other).Says("--replace");
        Assert.Equal(Other, await cluster.TextAsync("postgres", "SHOW archive_command"));

        // Nor is one that calls both.
        await cluster.ExecuteAsync("postgres", $"ALTER SYSTEM SET archive_command = '{Other} && shbackup wal-archive push %p'");
        await cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        await Eventually.TrueAsync(
            async () => (await cluster.TextAsync("postgres", "SHOW archive_command"))!.EndsWith("push %p", StringComparison.Ordinal), "the server has read it");
        (await ApplyAsync(cluster)).Expect(3).Says("nothing was set").Says("--replace");

        (await ApplyAsync(cluster, "--replace")).Expect(0);
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        (await ApplyAsync(cluster)).Expect(0);
    }

    [Fact]
    public async Task A_directory_that_PostgreSQLs_user_may_not_enter_is_named()
    {
        await using var cluster = await MadeAsync("chmod 644");
        var closed = Path.Combine(cluster.Host, "closed");
        await Command.ShellAsync($"mkdir -m {(IsRoot ? "700" : "000")} '{closed}'");
        File.AppendAllLines(cluster.EnvFile, [$"BACKUP_WAL_DIR={closed}/wal"]);

        (await ApplyAsync(cluster)).Expect(3).Says("BACKUP_WAL_DIR").Says(closed);
    }

    [Fact]
    public async Task Status_tells_of_an_archiver_that_has_not_archived_anything_yet()
    {
        await using var cluster = await MadeAsync("chmod 644");
        await cluster.ExecuteAsync("postgres", "ALTER SYSTEM SET archive_command = 'false'");
        await cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        var waiting = await cluster.SwitchWalAsync();
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", "SELECT last_failed_wal FROM pg_stat_archiver") is not null, "the archiver has failed");

        (await Command.RunAsync(Workspace.Executable, ["wal-archive", "status", "--env-file", cluster.EnvFile], null, "/")).Expect(8)
            .Says("archiver failed with 0000000").Says("there is no WAL in");
        Assert.NotEmpty(waiting);
    }

    [Fact]
    public async Task Status_is_no_success_when_nobody_archives_what_the_server_writes()
    {
        await using var cluster = new ReceivingCluster();
        await cluster.InitializeAsync();
        await using (var receiver = await cluster.ReceiveAsync())
        {
            await cluster.ConvergesAsync(await cluster.FillAsync());
            (await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile)).Expect(0);
            (await cluster.RunAsync("wal-archive", "status", "--env-file", cluster.EnvFile)).Expect(0);

            // What was received of the unfinished segment counts, but for zeros at the end of its last record.
            await cluster.CommitAsync("received");
            await Eventually.TrueAsync(async () => await LagAsync(cluster) < 64, "status counts the pieces");
            Assert.Contains(
                "received pieces of the segment after the last",
                (await cluster.RunAsync("wal-archive", "list", "--env-file", cluster.EnvFile)).Expect(0).Output,
                StringComparison.Ordinal);
            Assert.Equal(0, await receiver.EndAsync());
        }

        (await cluster.RunAsync("wal-archive", "status", "--env-file", cluster.EnvFile)).Expect(8).Says("archive_mode is off, and no receiver is connected");
    }

    [Fact]
    public async Task Apply_says_what_counts_only_after_a_restart_and_behind_that_the_server_archives()
    {
        const string NeedsRestart = "needs a restart";
        await using var cluster = new ReceivingCluster();
        await cluster.InitializeAsync();

        // Also to somebody who asks again before the restart.
        for (var times = 0; times < 2; times++)
        {
            var lines = (await ApplyAsync(cluster)).Expect(0).Output.Split('\n');
            Assert.Equal(
                ["archive_mode = 'on'  # set; was 'off'; needs a restart"], lines.Where(static l => l.Contains(NeedsRestart, StringComparison.Ordinal)));
        }

        Assert.Equal("off", await cluster.TextAsync("postgres", "SHOW archive_mode"));
        (await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile))
            .Expect(3).Says("does not archive its WAL").Says("hint: restart the server: archive_mode = on waits for it");
        await cluster.CrashAsync();
        await cluster.StartAgainAsync();
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        var last = (await ApplyAsync(cluster)).Expect(0).Output;
        Assert.Contains("archive_mode = 'on'  # as it is", last, StringComparison.Ordinal);
        Assert.DoesNotContain(NeedsRestart, last, StringComparison.Ordinal);
    }

    private static async Task<long> LagAsync(ReceivingCluster cluster)
    {
        using var document = JsonDocument.Parse(
            (await cluster.RunAsync("wal-archive", "status", "--json", "--env-file", cluster.EnvFile)).Expect(0).Output);
        return document.RootElement.GetProperty("clusters")[0].GetProperty("lagBytes").GetInt64();
    }

    // As an administrator who is root sets it up, step by step: the settings are root's, and nothing else is there yet.
    private static async Task<ArchivingCluster> MadeAsync(string protect)
    {
        var cluster = new ArchivingCluster();
        await cluster.InitializeAsync();
        Directory.CreateDirectory(cluster.Site);
        await File.WriteAllLinesAsync(
            cluster.EnvFile,
            [
                $"DATABASE_HOST={cluster.Host}", "DATABASE_USER=postgres", "DATABASE_NAME=postgres",
                $"BACKUP_DIR=\"{cluster.Site}/backups\"", $"BACKUP_WAL_DIR=\"{cluster.Archive}\"", $"BACKUP_SPOOL_DIR=\"{cluster.Spool}\"",
            ]);
        await Command.ShellAsync($"{protect} \"{cluster.EnvFile}\"");
        return cluster;
    }

    private static Task<CommandResult> ApplyAsync(ArchivingCluster cluster, params string[] options) =>
        Command.RunAsync(Workspace.Executable, ["wal-archive", "generate-config", "--apply", .. options, "--env-file", cluster.EnvFile], null, "/");

    private static string Remedy(CommandResult refused)
    {
        var hint = refused.Error.Split('\n').Single(static l => l.StartsWith("hint: ", StringComparison.Ordinal));
        return hint["hint: ".Length..hint.LastIndexOf("; then run this again", StringComparison.Ordinal)];
    }
}
