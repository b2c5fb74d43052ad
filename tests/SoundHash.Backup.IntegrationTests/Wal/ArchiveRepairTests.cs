using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>wal-archive verify and its --repair on the archive of a real server. Each test has an archive of its own.</summary>
public sealed class ArchiveRepairTests : IAsyncLifetime
{
    private readonly CaredForArchive _site = new();

    public ValueTask InitializeAsync() => _site.InitializeAsync();

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task A_gap_is_told_by_name_and_repair_fills_it_with_what_the_server_still_has()
    {
        var lost = _site.AfterFirst;
        _site.Remove(lost);

        (await _site.RunAsync("verify")).Expect(8).Says($"has a gap: segment {lost}").Says("--repair");
        (await _site.RunAsync("status")).Expect(8).Says(lost);
        Assert.Contains($"not there (on-server): segment {lost}", (await _site.RunAsync("list")).Expect(8).Output, StringComparison.Ordinal);

        var repaired = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "verify", "--repair"));
        Assert.Equal(lost, Assert.Single(repaired.GetProperty("repaired").EnumerateArray()).GetString());
        await Command.ShellAsync($"zstd -dcq \"{Path.Combine(_site.Folder, lost)}\" | cmp - '{_site.Cluster.DataDirectory}/pg_wal/{lost}'");
        (await _site.RunAsync("status")).Expect(0);
    }

    [Fact]
    public async Task A_gap_that_the_server_can_not_fill_stays_a_gap_and_nothing_else_takes_its_place()
    {
        var lost = _site.AfterFirst;
        _site.Remove(lost);
        using var folder = new TempFolder();
        await Command.ShellAsync(
            $"mkdir -p '{folder.Path}/global' '{folder.Path}/pg_wal' && cp '{_site.Cluster.DataDirectory}/global/pg_control' '{folder.Path}/global/'"
            + $" && cp '{_site.Cluster.DataDirectory}/pg_wal/{_site.Segments[^1]}' '{folder.Path}/pg_wal/{lost}'");
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);

        (await _site.RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(8).Says("does not fill the gap").Says(lost);
        Assert.False(File.Exists(Path.Combine(_site.Folder, lost)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_segment_that_was_still_being_written_when_the_data_directory_was_copied_fills_no_gap(bool isMarked)
    {
        await _site.Cluster.ExecuteAsync("postgres", "INSERT INTO tick SELECT clock_timestamp()");
        var current = (await _site.Cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
        using var folder = new TempFolder();
        var copyOf = $"mkdir -p '{folder.Path}/global' '{folder.Path}/pg_wal/archive_status' && cp '{_site.Cluster.DataDirectory}/global/pg_control' '{folder.Path}/global/'"
            + $" && cp '{_site.Cluster.DataDirectory}/pg_wal/'0* '{folder.Path}/pg_wal/'";
        await Command.ShellAsync(copyOf);
        if (isMarked)
        {
            // The files of a running server are copied one after the other.
            File.WriteAllText(folder[$"pg_wal/archive_status/{current}.done"], string.Empty);
        }

        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        await _site.Cluster.SwitchWalAsync();
        await _site.Cluster.ArchivedAsync(await _site.Cluster.SwitchWalAsync());
        _site.Remove(current);

        (await _site.RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(8)
            .Says("does not fill the gap").Says($"{current} is still missing").Says("the log in it ends at").Says("pg_switch_wal");
        Assert.False(File.Exists(Path.Combine(_site.Folder, current)));
        Assert.False(File.Exists(Path.Combine(_site.Folder, $"{current}.sha256")));

        // Where there are no marks, as with a receiver, a later segment tells that it is whole.
        await Command.ShellAsync($"rm -r '{folder.Path}/pg_wal'; {copyOf}");
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        Assert.Contains($"repaired {current}", (await _site.RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(0).Output, StringComparison.Ordinal);
        await Command.ShellAsync($"zstd -dcq \"{Path.Combine(_site.Folder, current)}\" | cmp - '{_site.Cluster.DataDirectory}/pg_wal/{current}'");
    }

    [Fact]
    public async Task Segments_that_a_busy_server_filled_are_known_to_be_whole_whatever_records_cross_their_ends()
    {
        await _site.Cluster.ExecuteAsync(
            "postgres",
            "CREATE TABLE bulk AS SELECT g, repeat(md5(g::text), 20) AS t FROM generate_series(1, 60000) g; CREATE INDEX ON bulk (md5(t));"
            + " SELECT pg_logical_emit_message(false, 'large', repeat('x', 40000000))");
        var last = await _site.Cluster.SwitchWalAsync();
        await _site.Cluster.ArchivedAsync(last);
        var filled = _site.SegmentsThere().Where(n => string.CompareOrdinal(n, _site.Segments[^1]) > 0 && string.CompareOrdinal(n, last) < 0).ToList();
        Assert.True(filled.Count >= 5, $"{filled.Count} segments");
        filled.ForEach(_site.Remove);

        var repaired = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "verify", "--repair"));

        Assert.Equal(filled, repaired.GetProperty("repaired").EnumerateArray().Select(static n => n.GetString()));
    }

    [Fact]
    public async Task A_flipped_bit_in_a_stored_segment_is_found()
    {
        var path = Path.Combine(_site.Folder, _site.Segments[^2]);
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);

        (await _site.RunAsync("verify")).Expect(8).Says(_site.Segments[^2]).Says("verify --repair");

        // The damaged one is kept, and the good one is what the server has.
        Assert.Contains($"repaired {_site.Segments[^2]}", (await _site.RunAsync("verify", "--repair")).Expect(0).Output, StringComparison.Ordinal);
        await Command.ShellAsync($"zstd -dcq \"{path}\" | cmp - '{_site.Cluster.DataDirectory}/pg_wal/{_site.Segments[^2]}'");
        Assert.Equal(bytes, File.ReadAllBytes(Assert.Single(Directory.GetFiles(_site.Folder, $"{_site.Segments[^2]}.damaged-*"))));
        (await _site.RunAsync("verify")).Expect(0);
    }

    [Fact]
    public async Task A_damaged_segment_is_replaced_only_by_the_very_same_and_the_way_out_is_told()
    {
        var path = Path.Combine(_site.Folder, _site.Segments[^2]);
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);
        using var folder = new TempFolder();
        await Command.ShellAsync(
            $"mkdir -p '{folder.Path}/global' '{folder.Path}/pg_wal' && cp '{_site.Cluster.DataDirectory}/global/pg_control' '{folder.Path}/global/'"
            + $" && cp '{_site.Cluster.DataDirectory}/pg_wal/{_site.Segments[^2]}' '{folder.Path}/pg_wal/'"
            + $" && printf x | dd of='{folder.Path}/pg_wal/{_site.Segments[^2]}' bs=1 seek=9000 conv=notrunc status=none");
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);

        (await _site.RunAsync("verify", "--repair", "--pgdata", folder.Path)).Expect(8).Says("does not replace").Says("another copy of the archive");
        Assert.Equal(bytes, File.ReadAllBytes(path));
    }
}
