using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>The size of WAL segments is a cluster's own, and decides their names.</summary>
public sealed class SegmentSizeTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    public async Task A_cluster_with_segments_of_another_size_is_archived_backed_up_and_recovered(int megabytes)
    {
        await using var cluster = new SizedCluster(megabytes);
        await cluster.InitializeAsync();
        await cluster.StartArchivingAsync();
        await cluster.ExecuteAsync("postgres", "CREATE TABLE rows AS SELECT generate_series(1, 10) AS id");
        var id = HistoryCluster.Id(await cluster.RunAsync("backup", "--kind", "physical", "--env-file", cluster.EnvFile, "--json"));
        var first = await cluster.SwitchWalAsync();
        // More than a segment of one megabyte, less than one of 64.
        await cluster.ExecuteAsync("postgres", "INSERT INTO rows SELECT generate_series(11, 50000)");
        var last = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(last);
        var moment = await cluster.TextAsync("postgres", "SELECT clock_timestamp()::text");
        await cluster.ExecuteAsync("postgres", "DELETE FROM rows");
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());

        Assert.Equal(megabytes == 1, Number(last) - Number(first) > 1);
        await Command.ShellAsync(
            $"[ $(stat -c %s '{cluster.DataDirectory}/pg_wal/{last}') = {megabytes << 20} ] && zstd -dcq \"$SEGMENT\" | cmp - '{cluster.DataDirectory}/pg_wal/{last}'",
            new Dictionary<string, string?> { ["SEGMENT"] = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", last) });
        using (var status = JsonDocument.Parse((await cluster.RunAsync("backup", "show", id, "--env-file", cluster.EnvFile, "--json")).Expect(0).Output))
        {
            Assert.Equal(megabytes << 20, status.RootElement.GetProperty("manifest").GetProperty("physical").GetProperty("walSegmentBytes").GetInt32());
        }

        (await cluster.RunAsync("wal-archive", "verify", "--env-file", cluster.EnvFile)).Expect(0);
        await RestoredServer.StopAsync(cluster.DataDirectory, "immediate");
        await using var restored = await RestoredServer.PlaceAsync();

        var result = await cluster.RunAsync(
            "restore", "--target-dir", restored.Data, "--to-time", moment!, "--action", "promote", "--start", "--env-file", cluster.EnvFile);

        Assert.Contains("the server takes writes", result.Expect(0).Output, StringComparison.Ordinal);
        // It has the settings of the lost server, its socket among them.
        Assert.Equal($"50000 {megabytes}MB", await cluster.TextAsync("postgres", "SELECT count(*) || ' ' || current_setting('wal_segment_size') FROM rows"));
    }

    private static int Number(string segment) => Convert.ToInt32(segment[16..], 16);

    private sealed class SizedCluster(int megabytes) : ArchivingCluster
    {
        public override string InitdbArguments => $"--wal-segsize={megabytes}";
    }
}
