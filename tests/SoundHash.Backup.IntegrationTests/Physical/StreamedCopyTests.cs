using System.Globalization;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>A cluster that comes through pg_basebackup: while it is written to, and where the stream breaks off.</summary>
public sealed class StreamedCopyTests
{
    // More than a volume holds, of pages that were never written: they cost neither disk nor WAL.
    private const long Vast = 270L << 20;

    [Fact]
    public async Task A_stream_of_a_busy_cluster_in_several_encrypted_volumes_is_restored_with_all_that_was_committed()
    {
        await using var cluster = await StreamingClusterAsync();
        await PgbenchLoad.PrepareAsync(cluster.Host);
        await cluster.ExecuteAsync("postgres", "CREATE TABLE vast WITH (autovacuum_enabled = off) AS SELECT generate_series(1, 1000) AS id");
        await cluster.ExecuteAsync("postgres", "CHECKPOINT");
        await Command.ShellAsync($"truncate -s +{Vast} '{cluster.DataDirectory}/{await cluster.TextAsync("postgres", "SELECT pg_relation_filepath('vast')")}'");
        using var work = cluster.Workspace().Set("DATABASE_USER", "streamer");
        await work.UseAgeAsync();

        string id;
        await using (PgbenchLoad.Start(cluster.Host, perSecond: 200))
        {
            await Eventually.TrueAsync(async () => await TransactionsAsync(cluster) > 0, "pgbench is at work");
            var before = await TransactionsAsync(cluster);
            id = await work.BackupPhysicalAsync();
            Assert.True(await TransactionsAsync(cluster) > before, "nothing was committed while the cluster was copied");
        }

        var edit = new SetEditor(work.SetFolder(id));
        var volumes = edit.Manifest["objects"]!.AsArray().Where(static o => (string?)o!["role"] == "volume").Select(static o => (string)o!["key"]!).ToList();
        Assert.InRange(volumes.Count, 2, 4);
        foreach (var volume in volumes)
        {
            await EncryptedFile.EnsureAsync(edit[volume], "age");
        }

        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        var balances = await cluster.TextAsync("postgres", PgbenchLoad.Balances);
        PgbenchLoad.AssertBalanced(balances);
        await cluster.ArchiveAllAsync();
        await ArchivingCluster.GiveToPostgresAsync(work.Folder);
        await using var place = await RestoredServer.PlaceAsync();
        (await work.RunAsync("restore", "--target-dir", place.Data, "--env-file", $"{work.Folder}/.env")).Expect(0);
        await place.VerifyAsync();

        await place.StartAsync();
        await place.PromotedAsync();

        Assert.Equal(balances, await place.TextAsync(PgbenchLoad.Balances));
        Assert.Equal("1000", await place.TextAsync("SELECT count(*)::text FROM vast"));
        Assert.True(long.Parse((await place.TextAsync("SELECT pg_relation_size('vast')::text"))!, CultureInfo.InvariantCulture) > Vast);
        await PostgresPrograms.CheckAsync(place.Folder, "postgres");
    }

    [Theory]
    [InlineData("pg_basebackup")]
    [InlineData("server")]
    public async Task A_stream_that_breaks_off_leaves_no_set_and_the_next_run_works(string victim)
    {
        await using var cluster = await StreamingClusterAsync();
        using var work = cluster.Workspace().Set("DATABASE_USER", "streamer").Set("BACKUP_RATE_LIMIT", "1M");
        var postmaster = File.ReadLines(Path.Combine(cluster.DataDirectory, "postmaster.pid")).First();
        using (var backup = work.Start(PhysicalProbe.Arguments))
        {
            await Eventually.TrueAsync(
                () => Directory.Exists(work.Repository) && new DirectoryInfo(work.Repository)
                    .EnumerateFiles(".writing-*", SearchOption.AllDirectories).Any(static f => f.Exists && f.Length > 50_000),
                "a volume is being written");
            await Command.ShellAsync(victim == "server"
                ? $"kill -KILL {postmaster} $(cat /proc/{postmaster}/task/*/children)"
                : $"for p in $(cat /proc/{backup.Id}/task/*/children); do [ $(cat /proc/$p/comm) != {victim} ] || kill -KILL $p && killed=yes; done; [ $killed ]");

            (await Command.FinishAsync(backup)).Expect(5).Says("pg_basebackup").Says("hint:");
        }

        Assert.Empty(await work.SetsAsync());
        await using var again = await RestoredServer.AtAsync(cluster.DataDirectory);
        if (victim == "server")
        {
            // Nobody waits for the killed one, so that its process id is still in use.
            File.Delete(Path.Combine(cluster.DataDirectory, "postmaster.pid"));
            await again.StartAsync();
            work.Set("DATABASE_HOST", again.Folder);
        }

        work.Unset("BACKUP_RATE_LIMIT");
        var id = await work.BackupPhysicalAsync();

        Assert.Equal([id], await work.SetsAsync());
        Assert.Equal([work.SetFolder(id)], Directory.GetDirectories(Path.Combine(work.Repository, "sets")));
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
    }

    // Its role may not know where the data directory is.
    private static async Task<ScriptArchivingCluster> StreamingClusterAsync()
    {
        var cluster = new ScriptArchivingCluster();
        await cluster.InitializeAsync();
        await cluster.ExecuteAsync("postgres", "CREATE ROLE streamer LOGIN REPLICATION");
        return cluster;
    }

    private static async Task<long> TransactionsAsync(PostgresCluster cluster) =>
        long.Parse((await cluster.TextAsync("postgres", "SELECT count(*)::text FROM pgbench_history"))!, CultureInfo.InvariantCulture);
}
