using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>A physical set is restored to any point after it, and to no other.</summary>
public sealed class RecoveryTargetTests(HistoryCluster cluster) : IClassFixture<HistoryCluster>
{
    private const int Target = 4;

    public static TheoryData<string, int> Targets => new()
    {
        { "latest", HistoryCluster.Last },
        { "immediate", HistoryCluster.Before },
        { "time", Target },
        { "time exclusive", Target - 1 },
        { "lsn", Target },
        { "lsn exclusive", Target },
        { "xid", Target },
        { "xid exclusive", Target - 1 },
        { "name", Target },
    };

    [Theory]
    [MemberData(nameof(Targets))]
    public async Task What_was_committed_up_to_the_target_is_there_and_nothing_after_it(string target, int last)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        string[] action = target == "latest" ? [] : ["--action", "promote"];

        (await cluster.RestoreAsync(restored, [.. Arguments(target), .. action])).Expect(0);

        await restored.VerifyAsync();
        await restored.StartAsync();
        await restored.PromotedAsync();
        Assert.Equal(
            string.Join(',', Enumerable.Range(1, last)), await restored.TextAsync("SELECT string_agg(n::text, ',' ORDER BY n) FROM marker"));
        Assert.Equal("20000", await restored.TextAsync("SELECT count(*)::text FROM bulk"));
        // What the copy writes must not go where its original's WAL is.
        Assert.Equal("off", await restored.TextAsync("SHOW archive_mode"));
    }

    [Fact]
    public async Task A_server_pauses_at_its_target_and_can_be_looked_at()
    {
        await using var restored = await RestoredServer.PlaceAsync();

        (await cluster.RestoreAsync(restored, "--to-xid", cluster[5].Xid)).Expect(0);

        await restored.StartAsync();
        await Eventually.TrueAsync(
            async () => await restored.TextAsync("SELECT pg_is_wal_replay_paused()::text") == "true", "the server pauses at its target");
        Assert.Equal("5", await restored.TextAsync("SELECT max(n)::text FROM marker"));
    }

    [Theory]
    [InlineData("too late", 1)]
    [InlineData("too early", 1)]
    [InlineData("lsn too late", 1)]
    [InlineData("lsn too early", 1)]
    [InlineData("xid too early", 1)]
    [InlineData("xid too late", 1)]
    [InlineData("no such name", 1)]
    [InlineData("other timeline", 1)]
    public async Task What_set_and_archive_can_t_reach_is_refused_with_the_window_before_anything_is_written(string target, int exitCode)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        string[] arguments = target switch
        {
            "too late" => ["--to-time", "2099-01-01 00:00Z"],
            "too early" => ["--to-time", cluster[1].Time],
            "lsn too late" => ["--to-lsn", "FF/0"],
            "lsn too early" => ["--to-lsn", cluster[1].Lsn],
            "xid too early" => ["--to-xid", cluster[1].Xid],
            "xid too late" => ["--to-xid", "4000000"],
            "no such name" => ["--to-name", "after 99"],
            _ => ["--timeline", "7"],
        };

        var result = (await cluster.RestoreAsync(restored, arguments)).Expect(exitCode);

        Assert.Contains(target == "other timeline" ? "timeline 7 descends from no set" : "can't be reached", result.Error, StringComparison.Ordinal);
        if (target != "other timeline")
        {
            result.Says(cluster.Set).Says("to 20").Says("(LSN ");
        }

        Assert.Equal([], Directory.GetFileSystemEntries(restored.Folder));
    }

    [Fact]
    public async Task A_gap_in_the_archive_is_named_and_what_is_beyond_it_refused()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        using var site = new TempFolder("site");
        await Command.ShellAsync($"cp -a \"$SITE/.\" '{site.Path}'", new Dictionary<string, string?> { ["SITE"] = cluster.Site });
        File.WriteAllLines(site[".env"], [$"BACKUP_DIR={site["backups"]}", $"BACKUP_WAL_DIR={site["wal"]}", $"BACKUP_SPOOL_DIR={site["spool"]}"]);
        var segments = Directory.GetFiles(site["wal"], "0*", SearchOption.AllDirectories)
            .Where(static f => Path.GetFileName(f).Length == 24).Order(StringComparer.Ordinal).ToList();
        File.Delete(segments[^1]);
        await Command.ShellAsync($"cp '{segments[^2]}' '{Next(segments[^1])}'; cp '{segments[^2]}.sha256' '{Next(segments[^1])}.sha256'");
        await ArchivingCluster.GiveToPostgresAsync(site.Path);

        var refused = (await cluster.RestoreAsync(site[".env"], restored, "--latest")).Expect(8)
            .Says($"segment {Path.GetFileName(segments[^1])} is missing").Says("--to-lsn");

        Assert.Equal([], Directory.GetFileSystemEntries(restored.Folder));
        var hinted = refused.Error.Split("--to-lsn ")[1].Split()[0];
        (await cluster.RestoreAsync(site[".env"], restored, "--to-lsn", hinted, "--plan")).Expect(0);
    }

    [Fact]
    public async Task A_time_without_a_zone_is_refused_with_both_readings()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        string[] arguments = ["restore", "--target-dir", restored.Data, "--to-time", "2026-07-01 12:00", "--env-file", cluster.EnvFile];

        var result = await Command.RunAsync(
            Workspace.Executable, arguments, new Dictionary<string, string?> { ["TZ"] = "Europe/Berlin" }, cluster.Host);

        result.Expect(2).Says("2026-07-01 12:00:00Z (UTC)").Says("2026-07-01 12:00:00+02:00 (local time here, Europe/Berlin)");
    }

    private string[] Arguments(string target) => target.Split(' ') is [var kind, "exclusive"]
        ? [.. Arguments(kind), "--exclusive"]
        : target switch
        {
            "immediate" => ["--to-immediate"],
            "time" => ["--to-time", cluster[Target].Time],
            "lsn" => ["--to-lsn", cluster[Target].Lsn],
            "xid" => ["--to-xid", cluster[Target].Xid],
            "name" => ["--to-name", $"after {Target}"],
            _ => ["--latest"],
        };

    private static string Next(string segment)
    {
        var number = Convert.ToUInt32(segment[^8..], 16) + 1;
        return segment[..^8] + number.ToString("X8", System.Globalization.CultureInfo.InvariantCulture);
    }

    // Guards against this: the new timeline's first segment was not archived yet, PostgreSQL took the old one's, and went on to what the
    // old primary had written after the copy was promoted.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_an_abandoned_timeline_has_after_the_switch_is_never_replayed_for_the_new_one(bool betweenSegments)
    {
        await using var split = new ArchivedCluster();
        await split.InitializeAsync();
        await split.ExecuteAsync("postgres", "CREATE TABLE rows AS SELECT 1 AS id");
        HistoryCluster.Id(await split.RunAsync("backup", "--kind", "physical", "--env-file", split.EnvFile, "--json"));
        await split.ExecuteAsync("postgres", "INSERT INTO rows VALUES (2)");
        var left = (await split.TextAsync("postgres", "SELECT pg_current_wal_insert_lsn()::text"))!;
        if (betweenSegments)
        {
            left = $"0/{(Convert.ToInt64((await split.SwitchWalAsync())[^8..], 16) + 1) << 24:X}";
        }

        await File.WriteAllTextAsync(
            Path.Combine(split.DataDirectory, "pg_wal", "00000002.history"), $"1\t{left}\tno recovery target specified\n", TestContext.Current.CancellationToken);
        await ArchivingCluster.GiveToPostgresAsync(Path.Combine(split.DataDirectory, "pg_wal", "00000002.history"));
        (await split.RunAsync("wal-archive", "push", "pg_wal/00000002.history", "--env-file", split.EnvFile)).Expect(0);
        await split.ExecuteAsync("postgres", "INSERT INTO rows VALUES (3)");
        await split.ArchivedAsync(await split.SwitchWalAsync());
        await split.ExecuteAsync("postgres", "INSERT INTO rows VALUES (4)");
        await split.ArchivedAsync(await split.SwitchWalAsync());
        await using var restored = await RestoredServer.PlaceAsync();
        string[] restore = ["restore", "--target-dir", restored.Data, "--env-file", split.EnvFile, "--start"];

        (await split.RunAsync(restore)).Expect(1).Says("where 2 left it").Says($"--timeline 1 --to-lsn {left} --exclusive");
        (await split.RunAsync([.. restore, "--standby", "host=/nowhere"])).Expect(1).Says("where 2 left it");
        Assert.False(Directory.Exists(restored.Data) && Directory.EnumerateFileSystemEntries(restored.Data).Any());

        await RestoredServer.StopAsync(split.DataDirectory, "fast");
        (await split.RunAsync([.. restore, "--timeline", "1", "--to-lsn", left, "--exclusive", "--action", "promote"])).Expect(0);
        Assert.Equal("1,2", await split.TextAsync("postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM rows"));
    }
}
