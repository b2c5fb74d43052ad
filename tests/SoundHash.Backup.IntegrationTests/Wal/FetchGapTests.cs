using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>A segment that is missing before others must not pass for the end of the log: PostgreSQL would lose all that follows.</summary>
public sealed class FetchGapTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    private const string Ticks = "SELECT count(*)::text FROM tick";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_missing_before_others_is_a_gap_and_what_the_data_directory_has_or_its_timelines_have_left_is_none(bool sumIsLeft)
    {
        var (missing, later) = (await cluster.SwitchWalAsync(), await cluster.SwitchWalAsync());
        await cluster.ArchivedAsync(later);
        using var folder = new TempFolder("gap");
        var data = await LoseAsync(folder, missing, sumIsLeft);
        string[] fetch = ["wal-archive", "fetch", missing, "pg_wal/RECOVERYXLOG", "--env-file", folder[".env"]];
        var own = Path.Combine(data, "pg_wal", missing);

        (await ArchivingCluster.RunInAsync(data, fetch)).Expect(200).Says("that is a gap").Says(missing).Says(later).Says("verify --repair");

        // A file that waits to be used again is not the segment.
        File.Copy(Path.Combine(cluster.DataDirectory, "pg_wal", later), own);
        await ArchivingCluster.GiveToPostgresAsync(data);
        (await ArchivingCluster.RunInAsync(data, fetch)).Expect(200);

        // Nor is one that was not whole yet when it was copied.
        File.Copy(Path.Combine(cluster.DataDirectory, "pg_wal", missing), own, overwrite: true);
        using (var file = File.OpenWrite(own))
        {
            file.SetLength(64);
            file.SetLength(16 << 20);
        }

        await ArchivingCluster.GiveToPostgresAsync(data);
        (await ArchivingCluster.RunInAsync(data, fetch)).Expect(200).Says("pg_wal has it up to");

        File.Copy(Path.Combine(cluster.DataDirectory, "pg_wal", missing), own, overwrite: true);
        await ArchivingCluster.GiveToPostgresAsync(data);
        (await ArchivingCluster.RunInAsync(data, fetch)).Expect(1);
        File.Delete(own);

        var history = Path.Combine(data, "pg_wal", "00000009.history");
        await File.WriteAllTextAsync(history, "1\t0/100\tleft long before\n", TestContext.Current.CancellationToken);
        await ArchivingCluster.GiveToPostgresAsync(data);
        (await ArchivingCluster.RunInAsync(data, fetch)).Expect(1);
        File.Delete(history);

        File.WriteAllText(Path.Combine(data, "standby.signal"), string.Empty);
        (await ArchivingCluster.RunInAsync(data, fetch)).Expect(1);
    }

    [Fact]
    public async Task Who_fetches_by_hand_is_told_the_gap()
    {
        var (missing, later) = (await cluster.SwitchWalAsync(), await cluster.SwitchWalAsync());
        await cluster.ArchivedAsync(later);
        using var folder = new TempFolder("gap");
        await LoseAsync(folder, missing, sumIsLeft: false);

        (await ArchivingCluster.RunInAsync(folder.Path, "wal-archive", "fetch", missing, folder["segment"], "--env-file", folder[".env"]))
            .Expect(1).Says("that is a gap").Says(later);
    }

    /// <summary>As of two that are archived side by side.</summary>
    [Fact]
    public async Task A_segment_that_is_archived_after_a_later_one_is_waited_for()
    {
        var (missing, later) = (await cluster.SwitchWalAsync(), await cluster.SwitchWalAsync());
        await cluster.ArchivedAsync(later);
        using var folder = new TempFolder("gap");
        var data = await LoseAsync(folder, missing, sumIsLeft: false);
        var there = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", missing);
        var place = Directory.GetFiles(folder["wal"], later, SearchOption.AllDirectories).Single()[..^24] + missing;
        File.Copy(there, folder["coming"]);
        using var fetch = Command.Start(
            Workspace.Executable, ["wal-archive", "fetch", missing, "pg_wal/RECOVERYXLOG", "--env-file", folder[".env"]], null, data);

        string? said;
        do
        {
            said = await fetch.StandardError.ReadLineAsync(TestContext.Current.CancellationToken);
            Assert.NotNull(said);
        }
        while (!said.Contains("is looked at again", StringComparison.Ordinal));

        File.Copy($"{there}.sha256", $"{place}.sha256");
        File.Move(folder["coming"], place);

        (await Command.FinishAsync(fetch)).Expect(0);
        await Command.ShellAsync($"cmp '{data}/pg_wal/RECOVERYXLOG' '{cluster.DataDirectory}/pg_wal/{missing}'");
    }

    [Fact]
    public async Task PostgreSQL_stops_at_a_gap_and_recovers_to_the_end_when_it_is_filled()
    {
        await using var copy = await ClusterCopy.OfAsync(cluster);
        var (missing, later) = (await cluster.SwitchWalAsync(), await cluster.SwitchWalAsync());
        await cluster.ArchivedAsync(later);
        var stored = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", missing);
        File.Move(stored, $"{stored}.away");

        await Assert.ThrowsAnyAsync<Exception>(() => copy.RecoverAsync(cluster, "recovery_target_timeline = 'current'"));
        Assert.Contains("that is a gap", await copy.LogAsync(), StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(copy.DataDirectory, "recovery.signal")));

        File.Move($"{stored}.away", stored);
        await copy.RecoverAsync(cluster, "recovery_target_timeline = 'current'");
        Assert.Equal(await cluster.TextAsync("postgres", Ticks), await copy.TextAsync(Ticks));
    }

    // A copy of the archive without a segment, and the data directory of a recovery without a server; returns the latter.
    private async Task<string> LoseAsync(TempFolder folder, string missing, bool sumIsLeft)
    {
        var data = folder["data"];
        await Command.ShellAsync(
            $"cp -a \"{cluster.Archive}\" '{folder["wal"]}'; mkdir -p '{data}/global' '{data}/pg_wal'; cp '{cluster.DataDirectory}/global/pg_control' '{data}/global'");
        var stored = Directory.GetFiles(folder["wal"], missing, SearchOption.AllDirectories).Single();
        File.Delete(stored);
        if (!sumIsLeft)
        {
            File.Delete($"{stored}.sha256");
        }

        File.WriteAllLines(folder[".env"], [$"BACKUP_WAL_DIR={folder["wal"]}", $"BACKUP_SPOOL_DIR={folder["spool"]}"]);
        File.WriteAllText(Path.Combine(data, "recovery.signal"), string.Empty);
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        return data;
    }
}
