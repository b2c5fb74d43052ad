using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>What wal-archive status, list and verify say of the archive of a real server. Each test has an archive of its own.</summary>
public sealed class ArchiveStatusTests : IAsyncLifetime
{
    private readonly CaredForArchive _site = new();

    public ValueTask InitializeAsync() => _site.InitializeAsync();

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task What_the_archiver_has_not_managed_yet_is_not_lost_and_its_failure_is_told()
    {
        await _site.Cluster.ExecuteAsync("postgres", "ALTER SYSTEM SET archive_command = 'false'");
        await _site.Cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        var waiting = await _site.Cluster.SwitchWalAsync();
        await Eventually.TrueAsync(
            async () => await _site.Cluster.TextAsync("postgres", "SELECT last_failed_wal FROM pg_stat_archiver") == waiting, "the archiver has failed");

        var verified = await _site.RunAsync("verify");
        Assert.Contains($"not archived yet: segment {waiting}", verified.Expect(0).Output, StringComparison.Ordinal);
        (await _site.RunAsync("status")).Expect(8).Says($"archiver failed with {waiting}");
    }

    [Fact]
    public async Task Without_a_server_it_says_what_is_unknown_and_judges_the_archive_alone()
    {
        var elsewhere = NameServer("/nowhere");

        var status = (await _site.RunAsync("status")).Expect(5).Says("the server can't be asked").Output;
        Assert.Contains("server    unknown: can't connect", status, StringComparison.Ordinal);
        Assert.Contains("how far it is behind the server is unknown", status, StringComparison.Ordinal);
        (await _site.RunAsync("verify")).Expect(0).Says("the server can't be asked");

        // The machine of the archive, which is to know no server.
        File.WriteAllLines(_site.Cluster.EnvFile, elsewhere.Where(static l => !l.StartsWith("DATABASE_", StringComparison.Ordinal)));
        (await _site.RunAsync("status")).Expect(0).Says("the server can't be asked");
    }

    [Fact]
    public async Task An_archive_without_a_base_backup_that_it_makes_consistent_is_no_success()
    {
        File.Delete(Path.Combine(_site.Cluster.Site, "backups", "sets", "base", "volume-0000.tar"));
        (await _site.RunAsync("status")).Expect(8).Says("can be recovered to no moment");
        Directory.Delete(Path.Combine(_site.Cluster.Site, "backups"), recursive: true);

        foreach (var verb in (string[])["status", "verify"])
        {
            (await _site.RunAsync(verb)).Expect(8).Says("can be recovered to no moment").Says("shbackup backup --kind physical");
            var errors = (await _site.JsonAsync(8, verb)).GetProperty("errors").EnumerateArray().ToList();
            Assert.Contains("can be recovered to no moment", Assert.Single(errors).GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Two_clusters_in_one_archive_do_not_mix()
    {
        var other = Path.Combine(_site.Cluster.Archive, "42", "00000001");
        Directory.CreateDirectory(other);
        File.Copy(Path.Combine(_site.Folder, _site.Segments[0]), Path.Combine(other, _site.Segments[0]));
        File.Copy(Path.Combine(_site.Folder, $"{_site.Segments[0]}.sha256"), Path.Combine(other, $"{_site.Segments[0]}.sha256"));
        await ArchivingCluster.GiveToPostgresAsync(_site.Cluster.Archive);

        var document = await _site.JsonAsync(8, "verify");
        var clusters = document.GetProperty("clusters").EnumerateArray().ToList();
        Assert.Equal(2, clusters.Count);
        // The segment is whole, and comes from another cluster than the folder says.
        Assert.Contains("and the cluster is 42", Assert.Single(clusters[0].GetProperty("problems").EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Empty(clusters[1].GetProperty("problems").EnumerateArray());
        (await _site.RunAsync("list")).Expect(0);
    }

    [Fact]
    public async Task An_empty_or_mistyped_archive_does_not_pass_for_a_healthy_one()
    {
        File.WriteAllLines(_site.Cluster.EnvFile, [$"BACKUP_WAL_DIR={_site.Cluster.Host}/nowhere", $"BACKUP_DIR={_site.Cluster.Host}/nowhere"]);

        (await _site.RunAsync("verify")).Expect(8).Says("nowhere").Says("which does not exist");
        (await _site.RunAsync("status")).Expect(8).Says("which does not exist");
        Assert.Contains("which does not exist", (await _site.RunAsync("list")).Expect(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_whole_archive_is_healthy_and_read_back_and_its_window_is_told()
    {
        var verified = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "verify"));
        Assert.Equal(verified.GetProperty("files").GetInt32(), verified.GetProperty("read").GetInt32());
        Assert.True(verified.GetProperty("read").GetInt32() >= 5);

        var status = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "status"));
        Assert.True(status.GetProperty("server").GetProperty("archivesWithShbackup").GetBoolean());
        Assert.Equal(_site.Segments[^1], status.GetProperty("lastSegment").GetString());
        Assert.InRange(status.GetProperty("lagBytes").GetInt64(), 0, 16 << 20);
        var window = Assert.Single(status.GetProperty("windows").EnumerateArray());
        Assert.Equal("base", window.GetProperty("setId").GetString());
        (await _site.RunAsync("status")).Expect(0);
        Assert.Contains("to any moment from", (await _site.RunAsync("status")).Output, StringComparison.Ordinal);

        var listed = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "list"));
        var timeline = Assert.Single(listed.GetProperty("timelines").EnumerateArray());
        Assert.Equal((_site.Segments[0], _site.Segments[^1], _site.Segments.Count), (
            timeline.GetProperty("first").GetString(), timeline.GetProperty("last").GetString(), timeline.GetProperty("segments").GetInt32()));
        Assert.Contains(_site.Segments[^1], (await _site.RunAsync("list")).Expect(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_with_archive_mode_and_no_archive_command_is_told_to_archive_nothing()
    {
        await _site.Cluster.ExecuteAsync("postgres", "ALTER SYSTEM SET archive_command = ''");
        await _site.Cluster.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        await Eventually.TrueAsync(
            async () => string.IsNullOrEmpty(await _site.Cluster.TextAsync("postgres", "SELECT current_setting('archive_command')")), "the setting is read");

        (await _site.RunAsync("status")).Expect(8).Says("the server does not archive its WAL: archive_command is empty").Says("generate-config --apply");
    }

    [Fact]
    public async Task A_good_archive_of_another_cluster_does_not_pass_for_the_one_of_the_server_that_is_asked()
    {
        await using var other = new PostgresCluster();
        await other.InitializeAsync();
        var system = await other.TextAsync("postgres", "SELECT system_identifier::text FROM pg_control_system()");
        NameServer(other.Host);

        (await _site.RunAsync("verify")).Expect(8).Says($"cluster {system} can be recovered to no moment");
        (await _site.RunAsync("status")).Expect(8).Says($"nothing of the server's own cluster, system identifier {system}, is archived here");
    }

    private string[] NameServer(string host)
    {
        string[] all =
        [
            .. File.ReadAllLines(_site.Cluster.EnvFile).Where(static l => !l.StartsWith("DATABASE_HOST", StringComparison.Ordinal)), $"DATABASE_HOST={host}",
        ];
        File.WriteAllLines(_site.Cluster.EnvFile, all);
        return all;
    }
}
