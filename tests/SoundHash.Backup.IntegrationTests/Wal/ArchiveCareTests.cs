using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>wal-archive list, status, verify and cleanup on the archive of a real server. Each test has an archive of its own.</summary>
public sealed class ArchiveCareTests : IAsyncLifetime
{
    private readonly ArchivedCluster _cluster = new();
    private string _archive = null!;
    private string _first = null!;
    private List<string> _segments = null!;

    public async ValueTask InitializeAsync()
    {
        await _cluster.InitializeAsync();
        await _cluster.SwitchWalAsync();
        (_first, _) = await HandMadeSet.AddAsync(_cluster, "base", SetEditor.Now);
        var last = string.Empty;
        for (var i = 0; i < 4; i++)
        {
            last = await _cluster.SwitchWalAsync();
        }

        await _cluster.ArchivedAsync(last);
        _archive = Path.Combine(await _cluster.ArchiveOfClusterAsync(), "00000001");
        _segments = Directory.GetFiles(_archive).Select(static p => Path.GetFileName(p)).Where(static n => n.Length == 24).Order(StringComparer.Ordinal).ToList();
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task A_whole_archive_is_healthy_and_read_back_and_its_window_is_told()
    {
        var verified = Cluster(await JsonAsync(0, "verify"));
        Assert.Equal(verified.GetProperty("files").GetInt32(), verified.GetProperty("read").GetInt32());
        Assert.True(verified.GetProperty("read").GetInt32() >= 5);

        var status = Cluster(await JsonAsync(0, "status"));
        Assert.True(status.GetProperty("server").GetProperty("archivesWithShbackup").GetBoolean());
        Assert.Equal(_segments[^1], status.GetProperty("lastSegment").GetString());
        Assert.InRange(status.GetProperty("lagBytes").GetInt64(), 0, 16 << 20);
        var window = Assert.Single(status.GetProperty("windows").EnumerateArray());
        Assert.Equal("base", window.GetProperty("setId").GetString());
        (await RunAsync("status")).Expect(0);
        Assert.Contains("to any moment from", (await RunAsync("status")).Output, StringComparison.Ordinal);

        var listed = Cluster(await JsonAsync(0, "list"));
        var timeline = Assert.Single(listed.GetProperty("timelines").EnumerateArray());
        Assert.Equal((_segments[0], _segments[^1], _segments.Count), (
            timeline.GetProperty("first").GetString(), timeline.GetProperty("last").GetString(), timeline.GetProperty("segments").GetInt32()));
        Assert.Contains(_segments[^1], (await RunAsync("list")).Expect(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_gap_is_told_by_name_and_repair_fills_it_with_what_the_server_still_has()
    {
        var lost = _segments[_segments.IndexOf(_first) + 1];
        Remove(lost);

        (await RunAsync("verify")).Expect(8).Says($"has a gap: segment {lost}").Says("--repair");
        (await RunAsync("status")).Expect(8).Says(lost);
        Assert.Contains($"not there (on-server): segment {lost}", (await RunAsync("list")).Expect(8).Output, StringComparison.Ordinal);

        var repaired = Cluster(await JsonAsync(0, "verify", "--repair"));
        Assert.Equal(lost, Assert.Single(repaired.GetProperty("repaired").EnumerateArray()).GetString());
        await Command.ShellAsync($"zstd -dcq \"{Path.Combine(_archive, lost)}\" | cmp - '{_cluster.DataDirectory}/pg_wal/{lost}'");
        (await RunAsync("status")).Expect(0);
    }

    [Fact]
    public async Task A_gap_that_the_server_can_not_fill_stays_a_gap_and_nothing_else_takes_its_place()
    {
        var lost = _segments[_segments.IndexOf(_first) + 1];
        Remove(lost);
        using var folder = new TempFolder();
        await Command.ShellAsync(
            $"mkdir -p '{folder.Path}/global' '{folder.Path}/pg_wal' && cp '{_cluster.DataDirectory}/global/pg_control' '{folder.Path}/global/'"
            + $" && cp '{_cluster.DataDirectory}/pg_wal/{_segments[^1]}' '{folder.Path}/pg_wal/{lost}'");
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);

        (await RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(8).Says("does not fill the gap").Says(lost);
        Assert.False(File.Exists(Path.Combine(_archive, lost)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_segment_that_was_still_being_written_when_the_data_directory_was_copied_fills_no_gap(bool isMarked)
    {
        await _cluster.ExecuteAsync("postgres", "INSERT INTO tick SELECT clock_timestamp()");
        var current = (await _cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
        using var folder = new TempFolder();
        var copyOf = $"mkdir -p '{folder.Path}/global' '{folder.Path}/pg_wal/archive_status' && cp '{_cluster.DataDirectory}/global/pg_control' '{folder.Path}/global/'"
            + $" && cp '{_cluster.DataDirectory}/pg_wal/'0* '{folder.Path}/pg_wal/'";
        await Command.ShellAsync(copyOf);
        if (isMarked)
        {
            // The files of a running server are copied one after the other.
            File.WriteAllText(folder[$"pg_wal/archive_status/{current}.done"], string.Empty);
        }

        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        await _cluster.ArchivedAsync(await SwitchTwiceAsync());
        Remove(current);

        (await RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(8)
            .Says("does not fill the gap").Says($"{current} is still missing").Says("the log in it ends at").Says("pg_switch_wal");
        Assert.False(File.Exists(Path.Combine(_archive, current)));
        Assert.False(File.Exists(Path.Combine(_archive, $"{current}.sha256")));

        // Where there are no marks, as with a receiver, a later segment tells that it is whole.
        await Command.ShellAsync($"rm -r '{folder.Path}/pg_wal'; {copyOf}");
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        Assert.Contains($"repaired {current}", (await RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(0).Output, StringComparison.Ordinal);
        await Command.ShellAsync($"zstd -dcq \"{Path.Combine(_archive, current)}\" | cmp - '{_cluster.DataDirectory}/pg_wal/{current}'");
    }

    [Fact]
    public async Task Segments_that_a_busy_server_filled_are_known_to_be_whole_whatever_records_cross_their_ends()
    {
        await _cluster.ExecuteAsync(
            "postgres",
            "CREATE TABLE bulk AS SELECT g, repeat(md5(g::text), 20) AS t FROM generate_series(1, 60000) g; CREATE INDEX ON bulk (md5(t));"
            + " SELECT pg_logical_emit_message(false, 'large', repeat('x', 40000000))");
        var last = await _cluster.SwitchWalAsync();
        await _cluster.ArchivedAsync(last);
        var filled = Directory.GetFiles(_archive).Select(static p => Path.GetFileName(p))
            .Where(n => n.Length == 24 && string.CompareOrdinal(n, _segments[^1]) > 0 && string.CompareOrdinal(n, last) < 0).Order(StringComparer.Ordinal).ToList();
        Assert.True(filled.Count >= 5, $"{filled.Count} segments");
        filled.ForEach(Remove);

        var repaired = Cluster(await JsonAsync(0, "verify", "--repair"));

        Assert.Equal(filled, repaired.GetProperty("repaired").EnumerateArray().Select(static n => n.GetString()));
    }

    [Fact]
    public async Task A_flipped_bit_in_a_stored_segment_is_found()
    {
        var path = Path.Combine(_archive, _segments[^2]);
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);

        (await RunAsync("verify")).Expect(8).Says(_segments[^2]).Says("verify --repair");

        // The damaged one is kept, and the good one is what the server has.
        Assert.Contains($"repaired {_segments[^2]}", (await RunAsync("verify", "--repair")).Expect(0).Output, StringComparison.Ordinal);
        await Command.ShellAsync($"zstd -dcq \"{path}\" | cmp - '{_cluster.DataDirectory}/pg_wal/{_segments[^2]}'");
        Assert.Equal(bytes, File.ReadAllBytes(Assert.Single(Directory.GetFiles(_archive, $"{_segments[^2]}.damaged-*"))));
        (await RunAsync("verify")).Expect(0);
    }

    [Fact]
    public async Task A_damaged_segment_is_replaced_only_by_the_very_same_and_the_way_out_is_told()
    {
        var path = Path.Combine(_archive, _segments[^2]);
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);
        using var folder = new TempFolder();
        await Command.ShellAsync(
            $"mkdir -p '{folder.Path}/global' '{folder.Path}/pg_wal' && cp '{_cluster.DataDirectory}/global/pg_control' '{folder.Path}/global/'"
            + $" && cp '{_cluster.DataDirectory}/pg_wal/{_segments[^2]}' '{folder.Path}/pg_wal/'"
            + $" && printf x | dd of='{folder.Path}/pg_wal/{_segments[^2]}' bs=1 seek=9000 conv=notrunc status=none");
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);

        (await RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(8).Says("does not replace").Says("another copy of the archive");
        Assert.Equal(bytes, File.ReadAllBytes(path));
    }

    [Fact]
    public async Task What_the_archiver_has_not_managed_yet_is_not_lost_and_its_failure_is_told()
    {
        await _cluster.ExecuteAsync("postgres", "ALTER SYSTEM SET archive_command = 'false'");
        await _cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        var waiting = await _cluster.SwitchWalAsync();
        await Eventually.TrueAsync(
            async () => await _cluster.TextAsync("postgres", "SELECT last_failed_wal FROM pg_stat_archiver") == waiting, "the archiver has failed");

        var verified = await RunAsync("verify");
        Assert.Contains($"not archived yet: segment {waiting}", verified.Expect(0).Output, StringComparison.Ordinal);
        (await RunAsync("status")).Expect(8).Says($"archiver failed with {waiting}");
    }

    [Fact]
    public async Task Without_a_server_it_says_what_is_unknown_and_judges_the_archive_alone()
    {
        string[] elsewhere = [.. (File.ReadAllLines(_cluster.EnvFile)).Where(static l => !l.StartsWith("DATABASE_HOST", StringComparison.Ordinal)), "DATABASE_HOST=/nowhere"];
        File.WriteAllLines(_cluster.EnvFile, elsewhere);

        var status = (await RunAsync("status")).Expect(5).Says("the server can't be asked").Output;
        Assert.Contains("server    unknown: can't connect", status, StringComparison.Ordinal);
        Assert.Contains("how far it is behind the server is unknown", status, StringComparison.Ordinal);
        (await RunAsync("verify")).Expect(0).Says("the server can't be asked");

        // The machine of the archive, which is to know no server.
        File.WriteAllLines(_cluster.EnvFile, elsewhere.Where(static l => !l.StartsWith("DATABASE_", StringComparison.Ordinal)));
        (await RunAsync("status")).Expect(0).Says("the server can't be asked");
    }

    [Fact]
    public async Task An_archive_without_a_base_backup_that_it_makes_consistent_is_no_success()
    {
        File.Delete(Path.Combine(_cluster.Site, "backups", "sets", "base", "volume-0000.tar"));
        (await RunAsync("status")).Expect(8).Says("can be recovered to no moment");
        Directory.Delete(Path.Combine(_cluster.Site, "backups"), recursive: true);

        foreach (var verb in (string[])["status", "verify"])
        {
            (await RunAsync(verb)).Expect(8).Says("can be recovered to no moment").Says("shbackup backup --kind physical");
            var errors = (await JsonAsync(8, verb)).GetProperty("errors").EnumerateArray().ToList();
            Assert.Contains("can be recovered to no moment", Assert.Single(errors).GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Segments_under_other_compression_and_encryption_settings_verify_and_without_the_key_that_is_said()
    {
        var identity = Path.Combine(_cluster.Site, "identity.txt");
        await Command.ShellAsync($"age-keygen -o \"{identity}\" 2>/dev/null");
        var recipient = (await Command.ShellAsync($"age-keygen -y \"{identity}\"")).Output.Trim();
        await ArchivingCluster.GiveToPostgresAsync(identity);
        File.AppendAllLines(
            _cluster.EnvFile,
            [
                "BACKUP_ENCRYPTION_ENABLED=true", "BACKUP_ENCRYPTION_METHOD=age", $"BACKUP_ENCRYPTION_KEY={recipient}", "BACKUP_COMPRESSION=gzip",
            ]);
        var sealed1 = await _cluster.SwitchWalAsync();
        await _cluster.ArchivedAsync(sealed1);

        var unread = Cluster(await JsonAsync(0, "verify"));
        Assert.Equal((1, 0), (unread.GetProperty("stored").GetInt32(), unread.GetProperty("unread").GetInt32()));
        var said = (await RunAsync("verify")).Expect(0).Says("BACKUP_DECRYPTION_IDENTITY_FILE");
        Assert.Contains("1 are as they were stored", said.Output, StringComparison.Ordinal);

        File.AppendAllLines(_cluster.EnvFile, [$"BACKUP_DECRYPTION_IDENTITY_FILE=\"{identity}\""]);
        var read = Cluster(await JsonAsync(0, "verify"));
        Assert.Equal((0, read.GetProperty("files").GetInt32()), (read.GetProperty("unread").GetInt32(), read.GetProperty("read").GetInt32()));
    }

    [Fact]
    public async Task Without_the_key_damage_is_found_and_what_can_not_be_checked_is_no_success()
    {
        var identity = Path.Combine(_cluster.Site, "identity.txt");
        var recipient = (await Command.ShellAsync($"age-keygen -o \"{identity}\" 2>/dev/null && age-keygen -y \"{identity}\"")).Expect(0).Output.Trim();
        File.AppendAllLines(_cluster.EnvFile, ["BACKUP_ENCRYPTION_ENABLED=true", "BACKUP_ENCRYPTION_METHOD=age", $"BACKUP_ENCRYPTION_KEY={recipient}"]);
        var shut = await _cluster.SwitchWalAsync();
        await _cluster.ArchivedAsync(shut);
        (await RunAsync("verify")).Expect(0);

        var sum = File.ReadAllLines(Path.Combine(_archive, $"{shut}.sha256"));
        File.WriteAllText(Path.Combine(_archive, $"{shut}.sha256"), $"{sum[0]}\n");
        (await RunAsync("verify")).Expect(7).Says("could not be checked").Says("BACKUP_DECRYPTION_IDENTITY_FILE");

        File.WriteAllText(Path.Combine(_archive, $"{shut}.sha256"), string.Join('\n', sum));
        SetEditor.FlipBit(Path.Combine(_archive, shut));
        (await RunAsync("verify")).Expect(8).Says(shut);
    }

    [Fact]
    public async Task Cleanup_keeps_what_base_backups_need_and_removes_what_is_older_by_name_and_reason()
    {
        var (second, _) = await HandMadeSet.AddAsync(_cluster, "second", SetEditor.Now.AddDays(-40));
        await ReDateAsync("base", SetEditor.Now.AddDays(-60));
        var last = await _cluster.SwitchWalAsync();
        await _cluster.ArchivedAsync(last);
        MakeOld(name => string.CompareOrdinal(name, second) < 0);

        var dry = (await RunAsync("cleanup", "--dry-run")).Expect(0);
        Assert.Contains("would remove", dry.Output, StringComparison.Ordinal);
        Assert.Equal(_segments, Directory.GetFiles(_archive).Select(static p => Path.GetFileName(p))
            .Where(n => n.Length == 24 && string.CompareOrdinal(n, _segments[^1]) <= 0).Order(StringComparer.Ordinal));

        var done = (await RunAsync("cleanup", "--retention-days", "30")).Expect(0);
        Assert.Contains($"removed  {_segments[0]}", done.Output, StringComparison.Ordinal);
        Assert.Contains("no set needs it", done.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_archive, _first)));
        Assert.True(File.Exists(Path.Combine(_archive, second)));
        Assert.False(File.Exists(Path.Combine(_archive, _segments[0])));

        // What was removed is not taken for lost, and the newest set is good for recovery to now.
        (await RunAsync("verify")).Expect(0);
        (await RunAsync("status")).Expect(0);
    }

    [Fact]
    public async Task A_set_and_a_timeline_that_were_moved_to_another_disk_behind_a_link_are_seen_and_nothing_that_the_set_needs_is_removed()
    {
        await HandMadeSet.AddAsync(_cluster, "second", SetEditor.Now.AddDays(-40));
        await ReDateAsync("base", SetEditor.Now.AddDays(-35));
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());
        MakeOld(static _ => true);
        foreach (var folder in (string[])[Path.Combine(_cluster.Site, "backups", "sets", "base"), _archive])
        {
            var moved = Path.Combine(_cluster.Host, $"moved-{Path.GetFileName(folder)}");
            Directory.Move(folder, moved);
            Directory.CreateSymbolicLink(folder, moved);
        }

        (await RunAsync("verify")).Expect(0);
        (await RunAsync("cleanup", "--retention-days", "30")).Expect(0);

        Assert.True(File.Exists(Path.Combine(_archive, _first)));
        Assert.False(File.Exists(Path.Combine(_archive, _segments[0])));
    }

    [Fact]
    public async Task Two_clusters_in_one_archive_do_not_mix()
    {
        var other = Path.Combine(_cluster.Archive, "42", "00000001");
        Directory.CreateDirectory(other);
        File.Copy(Path.Combine(_archive, _segments[0]), Path.Combine(other, _segments[0]));
        File.Copy(Path.Combine(_archive, $"{_segments[0]}.sha256"), Path.Combine(other, $"{_segments[0]}.sha256"));
        await ArchivingCluster.GiveToPostgresAsync(_cluster.Archive);

        var document = await JsonAsync(8, "verify");
        var clusters = document.GetProperty("clusters").EnumerateArray().ToList();
        Assert.Equal(2, clusters.Count);
        // The segment is whole, and comes from another cluster than the folder says.
        Assert.Contains("and the cluster is 42", Assert.Single(clusters[0].GetProperty("problems").EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Empty(clusters[1].GetProperty("problems").EnumerateArray());
        (await RunAsync("list")).Expect(0);
    }

    [Fact]
    public async Task An_empty_or_mistyped_archive_does_not_pass_for_a_healthy_one()
    {
        File.WriteAllLines(_cluster.EnvFile, [$"BACKUP_WAL_DIR={_cluster.Host}/nowhere", $"BACKUP_DIR={_cluster.Host}/nowhere"]);

        (await RunAsync("verify")).Expect(8).Says("nowhere").Says("which does not exist");
        (await RunAsync("status")).Expect(8).Says("which does not exist");
        Assert.Contains("which does not exist", (await RunAsync("list")).Expect(0).Output, StringComparison.Ordinal);
    }

    private async Task<string> SwitchTwiceAsync()
    {
        await _cluster.SwitchWalAsync();
        return await _cluster.SwitchWalAsync();
    }

    private Task<CommandResult> RunAsync(params string[] arguments) =>
        _cluster.RunAsync(["wal-archive", .. arguments, "--env-file", _cluster.EnvFile]);

    private async Task<JsonElement> JsonAsync(int exitCode, params string[] arguments)
    {
        var result = (await RunAsync([.. arguments, "--json"])).Expect(exitCode);
        using var document = JsonDocument.Parse(result.Output);
        return document.RootElement.Clone();
    }

    private static JsonElement Cluster(JsonElement document) => Assert.Single(document.GetProperty("clusters").EnumerateArray());

    private void Remove(string segment)
    {
        File.Delete(Path.Combine(_archive, segment));
        File.Delete(Path.Combine(_archive, $"{segment}.sha256"));
    }

    private void MakeOld(Func<string, bool> which)
    {
        foreach (var path in Directory.GetFiles(_archive).Where(p => which(Path.GetFileName(p))))
        {
            File.SetLastWriteTimeUtc(path, SetEditor.Now.UtcDateTime.AddDays(-50));
        }
    }

    private async Task ReDateAsync(string id, DateTimeOffset started)
    {
        var editor = new SetEditor(Path.Combine(_cluster.Site, "backups", "sets", id));
        editor.Manifest["started"] = started.ToString("o");
        editor.Manifest["stopped"] = started.AddMinutes(1).ToString("o");
        editor.SaveManifest();
        await ArchivingCluster.GiveToPostgresAsync(editor.Folder);
    }
}
