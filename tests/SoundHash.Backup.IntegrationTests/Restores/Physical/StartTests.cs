using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>With --start the server is started as its owner, followed to its target, and the moment it reached is told.</summary>
public sealed class StartTests(SettledLostCluster cluster) : IClassFixture<SettledLostCluster>
{
    [Fact]
    public async Task The_server_is_followed_to_the_end_of_the_archive_and_one_that_can_t_start_is_told_of()
    {
        await using var restored = await RestoredServer.PlaceAsync();

        // By root where we are: the server must still be PostgreSQL's user's.
        var result = (await RestoreAsync(restored, "--start", "--json")).Expect(0);

        using var document = JsonDocument.Parse(result.Output);
        var reached = document.RootElement.GetProperty("restore").GetProperty("reached");
        Assert.Equal("takes writes", reached.GetProperty("state").GetString());
        Assert.Matches("^[0-9A-F]+/[0-9A-F]+$", reached.GetProperty("replayedLsn").GetString());
        Assert.StartsWith("20", reached.GetProperty("lastTransaction").GetString(), StringComparison.Ordinal);
        Assert.Equal("1,2,3,4", await RowsAsync());
        Assert.Equal(restored.Data, await cluster.TextAsync("postgres", "SHOW data_directory"));
        Assert.False(File.Exists(Path.Combine(cluster.Host, "cleaned")));

        await using var second = await RestoredServer.PlaceAsync();
        (await RestoreAsync(second, "--start")).Expect(5).Says("is restored to").Says("its server ended: lock file").Says("--port");

        // Beside the first one.
        await using var third = await RestoredServer.PlaceAsync();
        Assert.Contains("takes writes", (await RestoreAsync(third, "--start", "--port", "54399")).Expect(0).Output, StringComparison.Ordinal);
        await third.StopAsync();
    }

    [Fact]
    public async Task A_standby_that_does_not_stream_from_its_primary_is_no_success()
    {
        await using var primary = await RestoredServer.PlaceAsync();
        (await RestoreAsync(primary, "--start")).Expect(0);
        await using var away = await RestoredServer.PlaceAsync();
        var alone = (await RestoreAsync(away, "--start", "--port", "54397", "--standby", "host=/nowhere user=postgres")).Expect(5);
        alone.Says("does not accept connections now").Says("is restored to").Says("does not stream from its primary (host=/nowhere user=postgres)");
        await away.StopAsync();

        await using var standby = await RestoredServer.PlaceAsync();
        var follows = await RestoreAsync(standby, "--start", "--port", "54397", "--standby", $"host={cluster.Host} user=postgres");
        Assert.Contains("the server follows its primary", follows.Expect(0).Output, StringComparison.Ordinal);
        await standby.StopAsync();
    }

    [Fact]
    public async Task It_pauses_or_shuts_down_as_asked_and_says_where()
    {
        await using var pausing = await RestoredServer.PlaceAsync();
        var paused = (await RestoreAsync(pausing, "--start", "--to-xid", cluster.ThirdXid, "--exclusive")).Expect(0);
        Assert.Contains("the server pauses: replayed to ", paused.Output, StringComparison.Ordinal);
        Assert.Contains($"recovery stopping before commit of transaction {cluster.ThirdXid}, time 20", paused.Output, StringComparison.Ordinal);
        Assert.Equal("1,2", await RowsAsync());
        await pausing.StopAsync();

        await using var stopping = await RestoredServer.PlaceAsync();
        var shut = (await RestoreAsync(stopping, "--start", "--to-xid", cluster.ThirdXid, "--action", "shutdown")).Expect(0);
        Assert.Contains("the server is shut down: replayed to ", shut.Output, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(stopping.Data, "postmaster.pid")));
    }

    [Fact]
    public async Task A_recovery_that_ends_before_the_archive_does_is_no_success()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        using var site = new TempFolder("site");
        await Command.ShellAsync($"cp -a \"$SITE/.\" '{site.Path}'", new Dictionary<string, string?> { ["SITE"] = cluster.Site });
        var last = Directory.GetFiles(site["wal"], "0*", SearchOption.AllDirectories)
            .Where(static f => Path.GetFileName(f).Length == 24).Max(StringComparer.Ordinal)!;
        // Whatever it is that keeps restore_command from bringing what was there when the restore began.
        File.WriteAllLines(
            site[".env"],
            [
                $"BACKUP_DIR={site["backups"]}", $"BACKUP_WAL_DIR={site["wal"]}", $"BACKUP_SPOOL_DIR={site["spool"]}",
                $"BACKUP_HOOK_PRE_RESTORE=rm {last}",
            ]);
        await ArchivingCluster.GiveToPostgresAsync(site.Path);

        (await ArchivingCluster.RunInAsync(cluster.Host, "restore", "--target-dir", restored.Data, "--start", "--env-file", site[".env"]))
            .Expect(8).Says($"before segment {Path.GetFileName(last)} of the archive: do not use it");
    }

    [Fact]
    public async Task Settings_that_override_those_of_the_restore_are_named_and_no_success()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        using var programs = await PostgresPrograms.WithOwnAsync(
            "pg_ctl",
            $"""
            #!/bin/sh
            exec {PostgresPrograms.Directory}/pg_ctl "$@" -o "-c recovery_target_inclusive=off"

            """);
        string[] arguments = ["restore", "--target-dir", restored.Data, "--env-file", cluster.EnvFile, "--start", "--to-xid", cluster.ThirdXid];

        (await Command.RunAsync(Workspace.Executable, arguments, new Dictionary<string, string?> { ["PG_BIN_DIR"] = programs.Path }, cluster.Host))
            .Expect(8).Says("recovery_target_inclusive = 'off' (command line)").Says("do not use it");
    }

    [Fact]
    public async Task A_recovery_that_waits_for_a_higher_setting_is_told_of_and_not_waited_for()
    {
        await using var lost = new ArchivedCluster();
        await lost.InitializeAsync();
        HistoryCluster.Id(await lost.RunAsync("backup", "--kind", "physical", "--env-file", lost.EnvFile, "--json"));
        await lost.ExecuteAsync("postgres", "ALTER SYSTEM SET max_connections = 90");
        await RestoredServer.StopAsync(lost.DataDirectory, "fast");
        await using (var again = await RestoredServer.AtAsync(lost.DataDirectory))
        {
            await again.StartAsync();
            await again.TextAsync("CREATE TABLE later AS SELECT 1 AS id");
            await again.TextAsync("SELECT pg_switch_wal()::text");
            await Eventually.TrueAsync(
                async () => await again.TextAsync("SELECT count(*)::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") == "0", "all is archived");
        }

        await using var restored = await RestoredServer.PlaceAsync();
        var result = await lost.RunAsync("restore", "--target-dir", restored.Data, "--start", "--env-file", lost.EnvFile);
        if (PostgresPrograms.Major < 14)
        {
            // There it does not wait.
            result.Expect(5).Says("its server ended").Says("max_connections = 60 is a lower setting");
            return;
        }

        result.Expect(1).Says("pauses before its target: max_connections = 60 is a lower setting than on the primary server, where its value was 90");
    }

    [Fact]
    public async Task A_configuration_that_leads_to_the_original_s_directory_is_told_of_with_the_command_that_does_not()
    {
        await using var restored = await RestoredServer.PlaceAsync();

        var result = (await RestoreAsync(restored)).Expect(0);

        Assert.Contains($"pg_ctl -D {restored.Data} -o '-c data_directory={restored.Data}' start", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pauses", false, "pg_wal_replay_resume() ends the recovery")]
    [InlineData("pauses", true, "pg_wal_replay_resume() ends the recovery")]
    [InlineData("end", false, "start the server as the owner of its files")]
    [InlineData("end", true, null)]
    public async Task The_summary_names_the_next_steps_and_that_archiving_is_off(string where, bool starts, string? step)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        string[] target = where == "end" ? [] : ["--to-xid", cluster.ThirdXid];

        var result = (await RestoreAsync(restored, [.. target, .. starts ? ["--start"] : Array.Empty<string>()])).Expect(0);

        var next = result.Output.Split('\n').Where(static l => l.StartsWith("next: ", StringComparison.Ordinal)).ToList();
        Assert.Equal(!starts, next.Any(static l => l.StartsWith("next: start the server", StringComparison.Ordinal)));
        Assert.True(step is null || next.Any(l => l.Contains(step, StringComparison.Ordinal)), $"no step has '{step}': {result}");
        var archiving = next.Single(static l => l.Contains("archiving is off in this copy", StringComparison.Ordinal));
        Assert.Contains("ALTER SYSTEM SET archive_mode = 'on'", archiving, StringComparison.Ordinal);
        Assert.Contains("take a new physical backup", archiving, StringComparison.Ordinal);
        Assert.Equal(where != "end", archiving.Contains("ALTER SYSTEM RESET recovery_target_xid", StringComparison.Ordinal));
        Assert.Equal(starts, result.Output.Contains("the server ", StringComparison.Ordinal) && result.Output.Contains("replayed to ", StringComparison.Ordinal));
        if (starts)
        {
            Assert.Equal("off", await cluster.TextAsync("postgres", "SHOW archive_mode"));
            await restored.StopAsync();
        }
    }

    [Fact]
    public async Task While_it_recovers_a_terminal_shows_how_many_segments_came_and_how_fast()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        const string Restore = "\"$PROGRAM\" restore --target-dir \"$DATA\" --env-file \"$SETTINGS\" --start";
        var environment = new Dictionary<string, string?>
        {
            ["SHELL"] = "/bin/sh",
            ["TERM"] = "xterm",
            ["PROGRAM"] = Workspace.Executable,
            ["DATA"] = restored.Data,
            ["SETTINGS"] = cluster.EnvFile,
        };

        var shown = (await Command.RunAsync("/usr/bin/script", ["-qec", Restore, "/dev/null"], environment, cluster.Host)).Expect(0).Output;

        Assert.Matches(@"replay  (no segment yet|segment 0000000100000000[0-9A-F]{8})  [0-9]+ of at most [0-9]+  [0-9]+\.[0-9]/s", shown);
        await restored.StopAsync();
    }

    private Task<CommandResult> RestoreAsync(RestoredServer place, params string[] arguments) => Command.RunAsync(
        Workspace.Executable, ["restore", "--target-dir", place.Data, "--env-file", cluster.EnvFile, .. arguments], null, cluster.Host);

    // The restored server has the settings of the lost one, its socket among them.
    private async Task<string?> RowsAsync() => await cluster.TextAsync("postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM rows");
}
