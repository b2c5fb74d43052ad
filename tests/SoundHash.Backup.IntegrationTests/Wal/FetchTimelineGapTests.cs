using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>A server dies with its last whole segments unarchived, and the standby that was promoted archives what comes after them.</summary>
public sealed class FetchTimelineGapTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    private const string Ticks = "SELECT count(*)::text FROM tick";

    [Fact]
    public async Task PostgreSQL_stops_where_WAL_before_a_timeline_is_missing_and_recovers_to_that_one_or_to_the_end_of_the_old_one()
    {
        await using var promoted = await ClusterCopy.OfAsync(cluster);
        await using var copy = await ClusterCopy.OfAsync(cluster);
        await using var filled = await ClusterCopy.OfAsync(cluster);
        var kept = await cluster.SwitchWalAsync();
        var ticks = await cluster.TextAsync("postgres", Ticks);
        string[] missing = [await cluster.SwitchWalAsync(), await cluster.SwitchWalAsync()];
        await cluster.ArchivedAsync(missing[^1]);
        await promoted.RecoverAsync(cluster, "archive_mode = on");
        await promoted.ExecuteAsync("INSERT INTO tick SELECT clock_timestamp(); SELECT pg_switch_wal()");
        var archive = await cluster.ArchiveOfClusterAsync();
        await Eventually.TrueAsync(
            () => Directory.Exists(Path.Combine(archive, "00000002")) && Directory.GetFiles(Path.Combine(archive, "00000002")).Any(static p => Path.GetFileName(p).Length == 24),
            "a segment of the new timeline is archived");
        Move(archive, missing, "gone");

        await Assert.ThrowsAnyAsync<Exception>(() => copy.RecoverAsync(cluster));
        var log = await copy.LogAsync();
        Assert.Contains($"{missing[0]} is neither in store", log, StringComparison.Ordinal);
        Assert.Contains("on the way to timeline 2", log, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(copy.DataDirectory, "pg_wal", "00000002.history")));

        // Who wants the old timeline alone gets what there is of it, though the history that the last start fetched is still there.
        await copy.RecoverAsync(cluster, "recovery_target_timeline = 'current'");
        Assert.Equal(ticks, await copy.TextAsync(Ticks));
        Assert.Contains($"restored log file \"{kept}\" from archive", await copy.LogAsync(), StringComparison.Ordinal);

        Move(Path.Combine(archive, "gone"), missing, "../00000001");
        await filled.RecoverAsync(cluster);
        Assert.Equal(await promoted.TextAsync(Ticks), await filled.TextAsync(Ticks));
    }

    private static void Move(string folder, string[] segments, string to)
    {
        Directory.CreateDirectory(Path.Combine(folder, to));
        foreach (var path in segments.SelectMany(s => Directory.GetFiles(folder, $"{s}*", SearchOption.AllDirectories)))
        {
            File.Move(path, Path.Combine(folder, to, Path.GetFileName(path)));
        }
    }
}
