using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>PostgreSQL gets its WAL back by restore_command, and what its exit codes mean to it.</summary>
public sealed class FetchTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    private const string Ticks = "SELECT count(*)::text FROM tick";

    [Fact]
    public async Task What_is_fetched_is_the_segment_and_what_is_absent_is_code_1_and_leaves_nothing()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        using var folder = new TempFolder();
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);

        (await cluster.RunAsync("wal-archive", "fetch", segment, folder["segment"], "--env-file", cluster.EnvFile)).Expect(0);
        (await cluster.RunAsync("wal-archive", "fetch", "0000000100000000000000FF", folder["absent"], "--env-file", cluster.EnvFile))
            .Expect(1).Says("not in the archive");

        await Command.ShellAsync($"cmp '{folder["segment"]}' '{cluster.DataDirectory}/pg_wal/{segment}'");
        Assert.Equal(["segment"], Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_fetch_that_is_killed_while_it_writes_leaves_nothing_behind()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        using var folder = new TempFolder();
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        var wasCaught = false;
        for (var tries = 0; tries < 20 && !wasCaught; tries++)
        {
            using var fetch = Command.Start(
                Workspace.Executable, ["wal-archive", "fetch", segment, folder["segment"], "--env-file", cluster.EnvFile], null, "/");
            while (!fetch.HasExited && !(wasCaught = IsWriting(fetch.Id)))
            {
            }

            fetch.Kill();
            await fetch.WaitForExitAsync(TestContext.Current.CancellationToken);
            // It may have been done just then.
            File.Delete(folder["segment"]);

            Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
        }

        Assert.True(wasCaught);

        bool IsWriting(int process)
        {
            try
            {
                return Directory.EnumerateFiles($"/proc/{process}/fd")
                    .Any(f => new FileInfo(f).LinkTarget?.StartsWith(folder.Path, StringComparison.Ordinal) == true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task Anything_but_a_proven_absence_stops_recovery_and_never_a_standby()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        using var damaged = new TempFolder("damaged");
        await Command.ShellAsync($"cp -a \"{cluster.Archive}\" '{damaged["wal"]}'");
        SetEditor.FlipBit(Directory.GetFiles(damaged["wal"], segment, SearchOption.AllDirectories).Single());
        File.WriteAllLines(damaged[".env"], [$"BACKUP_WAL_DIR={damaged["wal"]}", $"BACKUP_SPOOL_DIR={damaged["spool"]}"]);
        // A disk that is not mounted: nothing of the cluster is there.
        File.WriteAllLines(damaged["unmounted.env"], [$"BACKUP_WAL_DIR={damaged["nothing"]}", $"BACKUP_SPOOL_DIR={damaged["spool"]}"]);
        var data = damaged["data"];
        await Command.ShellAsync($"mkdir -p '{data}/global' '{data}/pg_wal'; cp '{cluster.DataDirectory}/global/pg_control' '{data}/global'");
        await ArchivingCluster.GiveToPostgresAsync(damaged.Path);
        string[] good = ["wal-archive", "fetch", segment, "pg_wal/RECOVERYXLOG", "--env-file", damaged[".env"]];
        string[] usage = ["wal-archive", "fetch", segment, "--env-file", damaged[".env"]];
        string[] configuration = ["wal-archive", "fetch", segment, "pg_wal/RECOVERYXLOG", "--env-file", damaged["missing.env"]];
        string[] unmounted = ["wal-archive", "fetch", segment, "pg_wal/RECOVERYXLOG", "--env-file", damaged["unmounted.env"]];

        foreach (var arguments in (string[][])[good, usage, configuration, unmounted])
        {
            (await ArchivingCluster.RunInAsync(data, arguments)).Expect(200);
        }

        File.WriteAllText(Path.Combine(data, "standby.signal"), string.Empty);
        foreach (var arguments in (string[][])[good, usage, configuration, unmounted])
        {
            Assert.InRange((await ArchivingCluster.RunInAsync(data, arguments)).ExitCode, 2, 125);
        }

        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(data, "pg_wal")));
    }

    [Fact]
    public async Task A_recovering_server_takes_from_the_spool_what_was_fetched_ahead()
    {
        await using var copy = await ClusterCopy.OfAsync(cluster);
        var segments = await ArchiveSegmentsAsync(6);
        using var folder = new TempFolder();
        // Stands for the program, writes down its starts, and lets a replay wait as a slower one would: until the next segment is there.
        var script =
            $"""
            #!/bin/sh
            "{Workspace.Executable}" "$@" || exit $?
            echo "$*" >>{folder["started"]}
            tries=0
            until [ $tries = 30 ] || ls "$FETCHED" | grep -qE '^[0-9A-F]{"{24}"}$'; do sleep 0.1; tries=$((tries + 1)); done
            """;
        File.WriteAllText(folder["shbackup"], script.Replace("$FETCHED", await copy.FetchFolderAsync(cluster), StringComparison.Ordinal));
        await Command.ShellAsync($"chmod -R a+rwx '{folder.Path}'");
        var command = await copy.RestoreCommandAsync(cluster);
        Assert.Contains(Workspace.Executable, command, StringComparison.Ordinal);

        await copy.RecoverAsync(
            cluster, "recovery_target_timeline = 'current'", command.Replace(Workspace.Executable, folder["shbackup"], StringComparison.Ordinal));

        var log = await copy.LogAsync();
        Assert.All(segments, s => Assert.Contains($"restored log file \"{s}\" from archive", log, StringComparison.Ordinal));
        var started = await File.ReadAllTextAsync(folder["started"], TestContext.Current.CancellationToken);
        var fromSpool = segments.Count(s => !started.Contains(s, StringComparison.Ordinal));
        Assert.True(fromSpool >= segments.Count / 2, $"{fromSpool} of {segments.Count} segments came from the spool; started for: {started}");
        Assert.Equal(await cluster.TextAsync("postgres", Ticks), await copy.TextAsync(Ticks));
    }

    [Theory]
    [InlineData("full")]
    [InlineData("closed")]
    public async Task A_spool_that_is_full_or_can_t_be_written_stops_no_recovery(string spool)
    {
        await using var copy = await ClusterCopy.OfAsync(cluster);
        await ArchiveSegmentsAsync(3);
        var folder = await copy.FetchFolderAsync(cluster);
        Directory.CreateDirectory(folder);
        await using var disk = spool == "full" ? await SmallDisk.MountAsync(folder, "64k") : null;
        await Command.ShellAsync(spool == "full" ? "head -c 1M /dev/zero >\"$FOLDER/ballast\" || true" : "chmod 555 \"$FOLDER\"", new Dictionary<string, string?> { ["FOLDER"] = folder });

        await copy.RecoverAsync(cluster, "recovery_target_timeline = 'current'");

        Assert.Equal(await cluster.TextAsync("postgres", Ticks), await copy.TextAsync(Ticks));
        Assert.Empty(Directory.GetFiles(folder, "0*"));
    }

    /// <summary>PostgreSQL's first segment of a new timeline begins with pages of the old one, and so does the last of the old.</summary>
    [Fact]
    public async Task A_promoted_copy_archives_its_history_first_and_its_segments_beside_the_old_timeline_s()
    {
        await using var copy = await ClusterCopy.OfAsync(cluster);
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        await copy.RecoverAsync(cluster, "archive_mode = on");

        await copy.ExecuteAsync("CREATE TABLE afterwards AS SELECT 1 AS x; SELECT pg_switch_wal()");

        var archive = await cluster.ArchiveOfClusterAsync();
        var timeline = await copy.TextAsync("SELECT lpad(to_hex(timeline_id), 8, '0') FROM pg_control_checkpoint()");
        await Eventually.TrueAsync(
            () => Directory.Exists(Path.Combine(archive, timeline!)) && Segments(Path.Combine(archive, timeline!)).Count > 0,
            "a segment of the new timeline is archived");
        Assert.True(File.Exists(Path.Combine(archive, $"{timeline}.history")));
        Assert.True(
            File.GetLastWriteTimeUtc(Path.Combine(archive, $"{timeline}.history"))
            <= Segments(Path.Combine(archive, timeline!)).Min(File.GetLastWriteTimeUtc));

        // A sum is there before its object, and so is what is only being written.
        static List<string> Segments(string folder) => Directory.GetFiles(folder).Where(static p => Path.GetFileName(p).Length == 24).ToList();
    }

    private async Task<IReadOnlyList<string>> ArchiveSegmentsAsync(int count)
    {
        var segments = new List<string>();
        while (segments.Count < count)
        {
            segments.Add(await cluster.SwitchWalAsync());
        }

        await cluster.ArchivedAsync(segments[^1]);
        return segments;
    }
}
