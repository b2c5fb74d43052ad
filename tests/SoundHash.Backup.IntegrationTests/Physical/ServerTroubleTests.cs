using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>A disk that is full, a server that dies, an archiver that does not get on: no set is left that is none, and the next run works.</summary>
public sealed class ServerTroubleTests
{
    [Fact]
    public async Task A_full_disk_fails_the_backup_with_6_and_with_room_the_next_one_works()
    {
        await using var cluster = new ScriptArchivingCluster();
        await cluster.InitializeAsync();
        // What no compression makes small.
        await cluster.ExecuteAsync("postgres", "CREATE TABLE noise AS SELECT (SELECT string_agg(sha256((g * 100 + i)::text::bytea), '') FROM generate_series(1, 30) i) AS t FROM generate_series(1, 6000) g");
        using var work = cluster.Workspace();
        Directory.CreateDirectory(work.Repository);
        await using var disk = await SmallDisk.MountAsync(work.Repository, "40m");
        await Command.ShellAsync($"head -c 36M /dev/zero > '{work.Repository}/ballast'");

        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(6).Says("No space left on device").Says("hint:");

        Assert.Empty(await work.SetsAsync());
        Assert.Equal("", (await Command.ShellAsync($"find '{work.Repository}' -path '*/sets/*' -type f")).Output);
        File.Delete(Path.Combine(work.Repository, "ballast"));
        var id = await work.BackupPhysicalAsync();
        Assert.Equal([id], await work.SetsAsync());
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
    }

    // A slow backup learns it from its watch over the session, a fast one when it wants to end backup mode.
    [Theory]
    [InlineData("1M")]
    [InlineData("6M")]
    public async Task A_server_that_is_killed_fails_the_backup_and_started_again_it_can_be_backed_up(string rate)
    {
        await using var cluster = new ScriptArchivingCluster();
        await cluster.InitializeAsync();
        await cluster.ExecuteAsync("postgres", "CREATE TABLE rows AS SELECT generate_series(1, 1000) AS id");
        using var work = cluster.Workspace().Set("BACKUP_RATE_LIMIT", rate);
        using (var backup = work.Start(PhysicalProbe.Arguments))
        {
            await PhysicalProbe.CopyingAsync(cluster, backup);
            var postmaster = File.ReadLines(Path.Combine(cluster.DataDirectory, "postmaster.pid")).First();
            await Command.ShellAsync($"kill -KILL {postmaster} $(cat /proc/{postmaster}/task/*/children)");

            (await Command.FinishAsync(backup)).Expect(5).Says("in backup mode was lost: ").Says("hint: see the server's log");
        }

        Assert.Empty(await work.SetsAsync());
        // Nobody waits for the killed one, so that its process id is still in use.
        File.Delete(Path.Combine(cluster.DataDirectory, "postmaster.pid"));
        await using var again = await RestoredServer.AtAsync(cluster.DataDirectory);
        await again.StartAsync();
        work.Unset("BACKUP_RATE_LIMIT").Set("DATABASE_HOST", again.Folder);

        var id = await work.BackupPhysicalAsync();

        Assert.Equal([id], await work.SetsAsync());
        Assert.Equal([work.SetFolder(id)], Directory.GetDirectories(Path.Combine(work.Repository, "sets")));
        await using var copy = await RestoredCopy.RestoreAsync(work, cluster, id);
        await copy.StartAsync();
        Assert.Equal("1000", await copy.TextAsync("postgres", "SELECT count(*)::text FROM rows"));
    }

    [Fact]
    public async Task The_wait_for_WAL_says_what_it_waits_for_and_ends_when_the_archiver_gets_on()
    {
        await using var cluster = new ScriptArchivingCluster();
        await cluster.InitializeAsync();
        await cluster.ArchiveAllAsync();
        // Up to version 14 the statistics come a moment after what they tell of.
        string? last = null;
        await Eventually.TrueAsync(
            async () => (last = await cluster.TextAsync("postgres", "SELECT last_archived_wal FROM pg_stat_archiver")) is { Length: > 0 },
            "the statistics know what was archived");
        await cluster.ExecuteAsync("postgres", "ALTER SYSTEM SET archive_command = 'false'");
        await cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        await cluster.ExecuteAsync("postgres", "CREATE TABLE waits (id int)");
        await cluster.ExecuteAsync("postgres", "SELECT pg_switch_wal()");
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", "SELECT last_failed_wal FROM pg_stat_archiver") is not null, "the archiver fails");
        var failed = (await cluster.TextAsync("postgres", "SELECT last_failed_wal FROM pg_stat_archiver"))!;
        var says = $"[0-9]+ WAL files wait for PostgreSQL's archiver; last archived: {last} at [0-9:]{{8}}Z; it last failed with {failed} at 20[-0-9 :]+Z "
            + @"\([0-9]+ failures in all; the server's log says why\)";
        using var work = cluster.Workspace();

        var timedOut = (await work.RunAsync([.. PhysicalProbe.Arguments, "--archive-timeout", "1"])).Expect(5);

        timedOut.Says("PostgreSQL's archiver does not get on: it last failed with ");
        Assert.Matches($"error: WAL file {failed[..16]}[0-9A-F]{{8}} was not archived in store local within 1 s, so that the backup is not kept \\({says}\\)", timedOut.Error);
        Assert.Empty(await work.SetsAsync());
        using var backup = work.Start(PhysicalProbe.Arguments);
        var line = string.Empty;
        while (!line.Contains("waiting for WAL file", StringComparison.Ordinal))
        {
            line = await backup.StandardError.ReadLineAsync(TestContext.Current.CancellationToken);
            Assert.True(line is not null, "the backup ended, and never said that it waits");
        }

        Assert.Matches($"waiting for WAL file {failed[..16]}[0-9A-F]{{8}} to be archived in store local; {says}", line);
        await cluster.ExecuteAsync("postgres", "ALTER SYSTEM RESET archive_command");
        await cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        await cluster.ExecuteAsync("postgres", "DROP TABLE waits");
        await cluster.ExecuteAsync("postgres", "SELECT pg_switch_wal()");
        (await Command.FinishAsync(backup)).Expect(0);
        Assert.Single(await work.SetsAsync());
    }
}
