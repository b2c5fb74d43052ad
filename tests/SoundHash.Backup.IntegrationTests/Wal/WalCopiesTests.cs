using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>A cluster that archives its WAL, and backs itself up, to two disks.</summary>
public sealed class TwoDisksCluster : ArchivingCluster
{
    public string Second => Path.Combine(Site, "second");

    /// <summary>Where the second disk's WAL of the cluster is.</summary>
    public async Task<string> SecondArchiveAsync() => Path.Combine(Second, "wal", Path.GetFileName(await ArchiveOfClusterAsync()));

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory.CreateDirectory(Second);
        await StartArchivingAsync(
            $"BACKUP_STATE_DIR=\"{Site}/state\"", "BACKUP_STORE_SECOND_TYPE=local", $"BACKUP_STORE_SECOND_DIR=\"{Second}\"", "BACKUP_STORE_SECOND_WAL=true");
        (await RunAsync("backup", "--kind", "physical", "--env-file", EnvFile)).Expect(0);
    }
}

/// <summary>WAL in several stores: each of them is enough to recover from.</summary>
public sealed class WalCopiesTests(TwoDisksCluster cluster) : IClassFixture<TwoDisksCluster>
{
    [Fact]
    public async Task Every_segment_is_on_both_disks_with_the_same_bytes()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);

        await Command.ShellAsync(
            $"cd \"{await cluster.ArchiveOfClusterAsync()}\" && for f in */*; do cmp \"$f\" \"{await cluster.SecondArchiveAsync()}/$f\"; done");
        (await cluster.RunAsync("wal-archive", "verify", "--env-file", cluster.EnvFile)).Expect(0);
    }

    [Theory]
    [InlineData("second", true)]
    [InlineData("local", false)]
    public async Task A_server_is_recovered_to_a_moment_from_one_disk_alone(string from, bool firstIsLost)
    {
        await cluster.ExecuteAsync("postgres", $"CREATE TABLE of_{from} AS SELECT 42 AS n");
        await cluster.ExecuteAsync("postgres", $"SELECT pg_create_restore_point('before_{from}')");
        await cluster.ExecuteAsync("postgres", $"DROP TABLE of_{from}");
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        string[] lost = firstIsLost ? [$"{cluster.Site}/backups", cluster.Archive] : [cluster.Second];
        var target = Path.Combine(cluster.Host, $"restored-{from}");
        foreach (var directory in lost)
        {
            Directory.Move(directory, $"{directory}.lost");
        }

        try
        {
            (await cluster.RunAsync(
                "restore", "--target-dir", target, "--to-name", $"before_{from}", "--action", "promote", "--from", from, "--env-file", cluster.EnvFile)).Expect(0);

            Assert.Contains($"wal-archive fetch --from ''{from}''", await File.ReadAllTextAsync($"{target}/postgresql.auto.conf", TestContext.Current.CancellationToken), StringComparison.Ordinal);
            await using var server = await RestoredServer.AtAsync(target);
            await server.StartAsync();
            await server.PromotedAsync();
            Assert.Equal("42", await server.TextAsync($"SELECT n::text FROM of_{from}"));
        }
        finally
        {
            foreach (var directory in lost)
            {
                Directory.Move($"{directory}.lost", directory);
            }
        }
    }

    [Fact]
    public async Task A_store_that_is_added_later_begins_with_the_next_segment_and_gets_the_rest_by_replicate()
    {
        var settings = await File.ReadAllLinesAsync(cluster.EnvFile, TestContext.Current.CancellationToken);
        var third = Path.Combine(cluster.Site, "third");
        Directory.CreateDirectory(third);
        await ArchivingCluster.GiveToPostgresAsync(third);
        await File.WriteAllLinesAsync(
            cluster.EnvFile,
            [.. settings, "BACKUP_STORE_THIRD_TYPE=local", $"BACKUP_STORE_THIRD_DIR=\"{third}\"", "BACKUP_STORE_THIRD_WAL=true"],
            TestContext.Current.CancellationToken);

        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        var there = Path.Combine(third, "wal", Path.GetFileName(await cluster.ArchiveOfClusterAsync()), "00000001");
        Assert.True(File.Exists(Path.Combine(there, segment)));
        (await cluster.RunAsync("backup", "replicate", "--all", "--from", "local", "--to", "third", "--env-file", cluster.EnvFile)).Expect(0);
        (await cluster.RunAsync("wal-archive", "verify", "--from", "third", "--env-file", cluster.EnvFile)).Expect(0);

        // One that was there and is gone is no new one.
        Directory.Move(there[..^9], $"{there[..^9]}.lost");
        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", cluster.EnvFile)).Expect(6).Says("is gone from store third");
        await File.WriteAllLinesAsync(cluster.EnvFile, settings, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_base_backup_is_replicated_with_all_WAL_and_makes_the_other_disk_enough()
    {
        var archive = await cluster.SecondArchiveAsync();
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        Directory.Delete(Path.Combine(archive, "00000001"), recursive: true);
        (await cluster.RunAsync("wal-archive", "verify", "--from", "second", "--env-file", cluster.EnvFile)).Expect(8);

        (await cluster.RunAsync("backup", "replicate", "--all", "--from", "local", "--to", "second", "--env-file", cluster.EnvFile)).Expect(0);

        (await cluster.RunAsync("wal-archive", "verify", "--from", "second", "--env-file", cluster.EnvFile)).Expect(0);
        (await cluster.RunAsync("backup", "verify", "--all", "--from", "second", "--env-file", cluster.EnvFile)).Expect(0);
    }

    [Fact]
    public async Task A_disk_that_may_be_missing_stops_no_archiving_and_catches_up_when_it_is_back()
    {
        var settings = await File.ReadAllLinesAsync(cluster.EnvFile, TestContext.Current.CancellationToken);
        await File.WriteAllLinesAsync(cluster.EnvFile, [.. settings, "BACKUP_REQUIRED_COPIES=1"], TestContext.Current.CancellationToken);
        Directory.Move(cluster.Second, $"{cluster.Second}.lost");
        var missed = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(missed);
        Directory.Move($"{cluster.Second}.lost", cluster.Second);
        var there = Path.Combine(await cluster.SecondArchiveAsync(), "00000001", missed);
        Assert.False(File.Exists(there));

        // It is not asked again within five minutes of its failure.
        await Command.ShellAsync($"find \"{cluster.Spool}\" -name .failed -exec touch -d '-6 minutes' {{}} +");
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        await Eventually.TrueAsync(() => Task.FromResult(File.Exists(there)), $"{missed} is on the second disk too");

        await File.WriteAllLinesAsync(cluster.EnvFile, settings, TestContext.Current.CancellationToken);
        (await cluster.RunAsync("wal-archive", "verify", "--from", "second", "--env-file", cluster.EnvFile)).Expect(0);
    }
}
