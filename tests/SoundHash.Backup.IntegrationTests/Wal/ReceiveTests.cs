using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>The log reaches the archive as the server writes it, whoever is killed on the way.</summary>
public sealed class ReceiveTests(ReceivingCluster cluster) : IClassFixture<ReceivingCluster>
{
    [Fact]
    public async Task Segments_arrive_byte_for_byte_and_nothing_stays_behind()
    {
        await using var receiver = await cluster.ReceiveAsync();

        await cluster.ConvergesAsync(await cluster.FillAsync());

        var folder = await cluster.ReceiveFolderAsync();
        // The last one may be the whole segment from which pg_receivewal knows where to go on.
        await Eventually.TrueAsync(
            () => Directory.GetFiles(folder).Count(static f => Path.GetFileName(f).Length == 24) <= 1, "what is archived is gone from the folder");
        Assert.Equal("700", Convert.ToString((int)File.GetUnixFileMode(folder), 8));
        Assert.Equal(0, await receiver.EndAsync());
    }

    [Fact]
    public async Task Pieces_appear_within_the_flush_time_and_go_when_their_segment_is_whole()
    {
        await using var receiver = await cluster.ReceiveAsync();
        await cluster.SwitchWalAsync();
        await cluster.CommitAsync("piece");
        var segment = (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;

        await Eventually.TrueAsync(async () => (await cluster.PiecesAsync(segment)).Length > 0, "a piece appears");
        await cluster.CommitAsync("another piece");
        await Eventually.TrueAsync(async () => (await cluster.PiecesAsync(segment)).Length > 1, "another one appears");
        var pieces = (await cluster.PiecesAsync(segment)).Order(StringComparer.Ordinal).ToList();
        Assert.EndsWith($"{segment}.00000000-{pieces[1][^17..^9]}", pieces[0], StringComparison.Ordinal);
        // As age-less, zstd-only objects they are the server's own bytes, each with its sum beside it.
        await Command.ShellAsync(
            $$"""
            for f in {{string.Join(' ', pieces.Select(static p => $"\"{p}\""))}}; do zstd -dcq "$f"; done > '{{cluster.Host}}/joined'
            cmp -n "$(stat -c %s '{{cluster.Host}}/joined')" '{{cluster.Host}}/joined' '{{cluster.DataDirectory}}/pg_wal/{{segment}}'
            zstd -dcq "{{pieces[0]}}" | sha256sum | cut -c1-64 | grep -qxFf <(cut -c1-64 "{{pieces[0]}}.sha256")
            """);

        await cluster.ConvergesAsync(await cluster.SwitchWalAsync());
        await Eventually.TrueAsync(async () => (await cluster.PiecesAsync(segment)).Length == 0, "the pieces are gone");
    }

    [Fact]
    public async Task The_documented_recipe_joins_pieces_up_to_the_first_gap_and_fills_them_up_with_zeros()
    {
        await using var receiver = await cluster.ReceiveAsync();
        await cluster.SwitchWalAsync();
        string? segment = null;
        for (var pieces = 1; pieces <= 3; pieces++)
        {
            await cluster.CommitAsync($"piece {pieces}");
            segment ??= (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
            await Eventually.TrueAsync(async () => (await cluster.PiecesAsync(segment)).Length >= pieces, $"{pieces} pieces are there");
        }

        Assert.Equal(0, await receiver.EndAsync());
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["pg_wal"]);
        var environment = new Dictionary<string, string?>
        {
            ["ARCHIVE"] = await cluster.ArchiveOfClusterAsync(),
            ["SEGMENT"] = segment,
            ["SEGMENT_SIZE"] = "16M",
            ["PGDATA"] = folder.Path,
        };
        var recipe = Recipes.Read("receive.md", "pieces recipe");

        await Command.ShellAsync(recipe, environment);
        JoinsUpTo(End((await cluster.PiecesAsync(segment)).Order(StringComparer.Ordinal).Last()));

        var first = (await cluster.PiecesAsync(segment)).Order(StringComparer.Ordinal).First();
        var second = (await cluster.PiecesAsync(segment)).Order(StringComparer.Ordinal).Skip(1).First();
        File.Move(second, $"{second}.gone");
        await Command.ShellAsync(recipe, environment);
        File.Move($"{second}.gone", second);
        JoinsUpTo(End(first));

        static int End(string piece) => Convert.ToInt32(piece[^8..], 16);

        void JoinsUpTo(int end)
        {
            var joined = File.ReadAllBytes(Path.Combine(folder.Path, "pg_wal", segment!));
            var own = File.ReadAllBytes(Path.Combine(cluster.DataDirectory, "pg_wal", segment!));
            Assert.Equal(16 << 20, joined.Length);
            Assert.True(joined.AsSpan(0, end).SequenceEqual(own.AsSpan(0, end)), $"the first {end} bytes are the server's");
            Assert.False(joined.AsSpan(end).ContainsAnyExcept((byte)0), $"behind {end} there are only zeros");
        }
    }

    [Fact]
    public async Task A_killed_pg_receivewal_is_started_again_and_nothing_is_missing()
    {
        await using var receiver = await cluster.ReceiveAsync();
        var before = cluster.FillAsync();
        await Command.RunAsync("/bin/kill", "-KILL", $"{Assert.Single(cluster.Programs("pg_receivewal"))}");
        await before;

        await receiver.StreamsAsync(times: 2);
        await cluster.ConvergesAsync(await cluster.FillAsync());
        Assert.Contains("pg_receivewal was ended by signal 9", receiver.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_killed_receiver_leaves_no_process_and_the_next_one_goes_on_where_the_last_piece_ended()
    {
        await using (var receiver = await cluster.ReceiveAsync())
        {
            await cluster.FillAsync();
            await cluster.CommitAsync("before the kill");
            var segment = (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
            await Eventually.TrueAsync(async () => (await cluster.PiecesAsync(segment)).Length > 0, "a piece appears");
            Assert.Equal(137, await receiver.EndAsync("KILL"));
        }

        await Eventually.TrueAsync(() => cluster.Programs("pg_receivewal").Count == 0, "pg_receivewal has ended too");
        await cluster.CommitAsync("between");

        await using var next = await cluster.ReceiveAsync();
        await cluster.CommitAsync("after the kill");
        await cluster.ConvergesAsync(await cluster.SwitchWalAsync());
    }

    [Fact]
    public async Task A_server_that_crashes_and_comes_back_is_received_from_again()
    {
        await using var receiver = await cluster.ReceiveAsync();
        await cluster.FillAsync();
        await cluster.CommitAsync("before the crash");

        await cluster.CrashAsync();
        await cluster.StartAgainAsync();

        await receiver.StreamsAsync(times: 2);
        await cluster.CommitAsync("after the crash");
        await cluster.ConvergesAsync(await cluster.FillAsync());
    }

    [Fact]
    public async Task While_the_disk_of_the_archive_is_not_mounted_nothing_is_archived_elsewhere_and_nothing_is_lost()
    {
        await using var receiver = await cluster.ReceiveAsync();
        await cluster.ConvergesAsync(await cluster.FillAsync());
        var mounted = $"{cluster.Archive}.elsewhere";
        Directory.Move(cluster.Archive, mounted);
        // The directory that the disk would be mounted on.
        Directory.CreateDirectory(cluster.Archive);
        await ArchivingCluster.GiveToPostgresAsync(cluster.Archive);

        var last = await cluster.FillAsync();
        await Eventually.TrueAsync(
            () => receiver.Said.Contains("is gone from store", StringComparison.Ordinal), "the receiver says that its archive is gone");
        Assert.Empty(Directory.GetFileSystemEntries(cluster.Archive));

        Directory.Delete(cluster.Archive);
        Directory.Move(mounted, cluster.Archive);
        await cluster.ConvergesAsync(last);
    }

    [Fact]
    public async Task A_new_timeline_is_followed_with_its_history()
    {
        await using var receiver = await cluster.ReceiveAsync();
        var old = Convert.ToInt32((await cluster.SwitchWalAsync())[..8], 16);
        await cluster.CommitAsync("on the old timeline");
        await cluster.CrashAsync();
        await cluster.RecoverOntoNewTimelineAsync();

        await receiver.StreamsAsync(times: 2);
        await cluster.CommitAsync("on the new timeline");
        var last = await cluster.SwitchWalAsync();
        Assert.Equal($"{old + 1:X8}", last[..8]);
        await cluster.ConvergesAsync(last);

        var history = $"{last[..8]}.history";
        await Command.ShellAsync(
            $"zstd -dcq \"{await cluster.ArchiveOfClusterAsync()}/{history}\" | cmp - '{cluster.DataDirectory}/pg_wal/{history}'");
        var folder = await cluster.ReceiveFolderAsync();
        await Eventually.TrueAsync(
            () => Directory.GetFiles(folder, $"{old:X8}0*").Length == 0, "nothing of the old timeline is left in the folder");
    }

    [Fact]
    public async Task A_second_receiver_is_refused_with_9()
    {
        await using var receiver = await cluster.ReceiveAsync();

        (await cluster.RunAsync("wal-archive", "receive", "--env-file", cluster.EnvFile))
            .Expect(9).Says("another wal-archive receive").Says($"pid {receiver.Id}");
    }

    [Fact]
    public async Task A_server_of_another_system_identifier_is_refused_and_nothing_is_archived()
    {
        using var other = new TempFolder("other");
        var folder = Directory.CreateDirectory(other["7000000000000000001"]).FullName;
        File.WriteAllText(Path.Combine(folder, "archive.json"), "{\"formatVersion\":1,\"created\":\"2026-01-01T00:00:00Z\"}");
        await ArchivingCluster.GiveToPostgresAsync(other.Path);
        using var process = cluster.StartShbackup(
            [$"BACKUP_WAL_DIR={other.Path}"], ["wal-archive", "receive", "--env-file", cluster.EnvFile, "--slot", "never"]);

        (await Command.FinishAsync(process)).Expect(3).Says("7000000000000000001").Says("BACKUP_CLUSTER");

        Assert.Single(Directory.GetFiles(other.Path, "*", SearchOption.AllDirectories));
        Assert.Equal("0", await cluster.TextAsync("postgres", "SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = 'never'"));
    }

    [Fact]
    public async Task Another_server_that_answers_in_the_place_of_the_first_ends_the_receiver_and_nothing_of_it_is_archived()
    {
        await using var first = new ReceivingCluster();
        await first.InitializeAsync();
        await using var other = new ReceivingCluster();
        await other.InitializeAsync();
        await using var receiver = await first.ReceiveAsync();
        var archive = await first.ArchiveOfClusterAsync();
        await first.CrashAsync();
        // It would stream, if it were asked.
        await other.ExecuteAsync("postgres", "SELECT pg_create_physical_replication_slot('shbackup_wal', true)");
        await other.CrashAsync();
        await other.StartAgainAsync(socket: first.Host);

        Assert.Equal(3, await receiver.ExitCodeAsync());

        var system = await first.TextAsync("postgres", "SELECT system_identifier::text FROM pg_control_system()");
        Assert.NotEqual(Path.GetFileName(archive), system);
        Assert.Contains($"is system identifier {system}, and this receives WAL of {Path.GetFileName(archive)}", receiver.Said, StringComparison.Ordinal);
        Assert.Equal([archive], Directory.GetDirectories(first.Archive));
        Assert.Equal("0", await first.TextAsync("postgres", "SELECT count(*)::text FROM pg_stat_replication"));
    }

    [Fact]
    public async Task A_role_that_can_not_see_the_stream_is_told_what_to_grant()
    {
        await cluster.ExecuteAsync("postgres", "DROP ROLE IF EXISTS blind; CREATE ROLE blind LOGIN REPLICATION");
        using var process = cluster.StartShbackup(
            ["DATABASE_USER=blind"], ["wal-archive", "receive", "--env-file", cluster.EnvFile, "--slot", "never"]);

        (await Command.FinishAsync(process)).Expect(3).Says("GRANT pg_read_all_stats TO \"blind\"");
    }

    [Fact]
    public async Task Drop_slot_archives_what_is_left_and_drops_the_slot()
    {
        string segment;
        await using (await cluster.ReceiveAsync("--slot", "goes_away"))
        {
            await cluster.FillAsync();
            await cluster.CommitAsync("the last words");
            segment = (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
            await Eventually.TrueAsync(async () => (await cluster.PiecesAsync(segment)).Length > 0, "a piece appears");
            (await cluster.RunAsync("wal-archive", "receive", "--env-file", cluster.EnvFile, "--slot", "goes_away", "--drop-slot")).Expect(9);
        }

        await Eventually.TrueAsync(() => cluster.Programs("pg_receivewal").Count == 0, "pg_receivewal has ended");
        string[] drop = ["wal-archive", "receive", "--env-file", cluster.EnvFile, "--slot", "goes_away", "--drop-slot"];
        (await cluster.RunAsync(drop)).Expect(0).Says("is dropped");

        Assert.Equal("0", await cluster.TextAsync("postgres", "SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = 'goes_away'"));
        Assert.Empty(Directory.GetFiles(await cluster.ReceiveFolderAsync(), "0*"));
        Assert.NotEmpty(await cluster.PiecesAsync(segment));
        (await cluster.RunAsync(drop)).Expect(0).Says("was not there");
    }

    [Fact]
    public async Task A_slot_that_the_server_gave_up_is_told_as_a_gap()
    {
        await cluster.ExecuteAsync("postgres", "SELECT pg_create_physical_replication_slot('given_up', true)");
        await cluster.ExecuteAsync(
            "postgres", "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; ALTER SYSTEM SET wal_keep_size = 0; SELECT pg_reload_conf()");
        try
        {
            await cluster.FillAsync();
            await cluster.FillAsync();
            await cluster.ExecuteAsync("postgres", "CHECKPOINT");
            Assert.Equal("lost", await cluster.TextAsync("postgres", "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'given_up'"));

            (await cluster.RunAsync("wal-archive", "receive", "--env-file", cluster.EnvFile, "--slot", "given_up"))
                .Expect(8).Says("given_up is lost").Says("max_slot_wal_keep_size").Says("--drop-slot");
            (await cluster.RunAsync("wal-archive", "receive", "--env-file", cluster.EnvFile, "--slot", "given_up", "--drop-slot")).Expect(0);
        }
        finally
        {
            await cluster.ExecuteAsync(
                "postgres", "ALTER SYSTEM RESET max_slot_wal_keep_size; ALTER SYSTEM RESET wal_keep_size; SELECT pg_reload_conf()");
            // The other tests' slot may be lost as well; they make it again.
            await cluster.ExecuteAsync(
                "postgres", "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE wal_status = 'lost'");
            foreach (var file in Directory.GetFiles(await cluster.ReceiveFolderAsync(), "0*"))
            {
                File.Delete(file);
            }
        }
    }
}
