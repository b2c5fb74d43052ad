using System.Globalization;
using System.Text.Json;
using Npgsql;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>
/// The proof that recovery goes to the point that was asked for and to no other: random targets of every type on three timelines
/// of a cluster that was busy all the time. SHBACKUP_PROOF_TARGETS says how many.
/// </summary>
public sealed class RecoveryProofTests(ForkedCluster cluster) : IClassFixture<ForkedCluster>
{
    private const int Usually = 12;

    [Fact]
    public async Task Every_mark_before_a_random_target_is_there_and_none_after_it_and_the_copy_is_sound()
    {
        var before = ArchivedFiles();
        var number = 0;
        foreach (var target in new ProofTargets(cluster.History, cluster.Run).Draw().Take(RandomRun.Rounds("SHBACKUP_PROOF_TARGETS", Usually)))
        {
            await cluster.Run.TellAsync($"target {++number}: {target}", () => ProveAsync(target));
        }

        Assert.Equal(before, ArchivedFiles());
    }

    // Promoted there, a server on the newest timeline would say of itself that it left that one before it began.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_target_is_followed_on_the_timeline_that_wrote_it_and_not_on_one_that_began_later(int timeline)
    {
        var mark = cluster.History.MarksOf(ForkedCluster.LastTimeline).Last(m => m.Timeline == timeline);
        string[] restore = ["restore", "--target-dir", Path.Combine(cluster.Host, "nowhere"), "--plan", "--json", "--env-file", cluster.EnvFile];

        foreach (var target in (string[][])[["--to-xid", mark.Xid], ["--to-lsn", mark.Commit.ToString()], ["--to-time", Text(mark.Time), "--exclusive"]])
        {
            var plan = (await ArchivingCluster.RunInAsync(cluster.Host, [.. restore, .. target])).Expect(0);
            using var document = JsonDocument.Parse(plan.Output);
            Assert.Equal(timeline, document.RootElement.GetProperty("timeline").GetInt32());
            // There the old server had gone on for a while, and made a set.
            Assert.Equal(timeline > 1, plan.Error.Contains("timeline 1 has WAL to", StringComparison.Ordinal));
        }
    }

    private async Task ProveAsync(ProofTarget target)
    {
        await using var place = await RestoredServer.PlaceAsync();
        var pauses = !target.IsEnd && cluster.Run.OneIn(2);
        string[] action = target.IsEnd ? [] : ["--action", pauses ? "pause" : "promote"];
        string[] restore = ["restore", "--target-dir", place.Data, .. target.Arguments, .. action, "--env-file", cluster.EnvFile];
        (await ArchivingCluster.RunInAsync(place.Folder, restore)).Expect(0);
        await place.VerifyAsync();
        var host = await StartAsync(place, restore);
        if (pauses)
        {
            await Eventually.TrueAsync(
                async () => await TextAsync(host, "SELECT pg_is_wal_replay_paused()::text") == "true", "the server pauses at its target");
            await AssertIsThereAsync(host, target);
            await TextAsync(host, "SELECT pg_wal_replay_resume()::text");
        }

        await Eventually.TrueAsync(async () => await TextAsync(host, "SELECT pg_is_in_recovery()::text") == "false", "the server takes writes");
        await AssertIsThereAsync(host, target);
        await PostgresPrograms.CheckAsync(host, "postgres");
    }

    // By PostgreSQL's own means, or by ours, which goes on from the files that are there; that server has its original's socket.
    private async Task<string> StartAsync(RestoredServer place, string[] restore)
    {
        if (cluster.Run.OneIn(2))
        {
            await place.StartAsync();
            return place.Folder;
        }

        (await ArchivingCluster.RunInAsync(place.Folder, [.. restore, "--delta", "--yes", "--start"])).Expect(0);
        return cluster.Host;
    }

    private static async Task AssertIsThereAsync(string host, ProofTarget target)
    {
        Assert.Equal(string.Join(',', target.Marks), await TextAsync(host, "SELECT string_agg(number::text, ',' ORDER BY number) FROM mark"));
        PgbenchLoad.AssertBalanced(await TextAsync(host, PgbenchLoad.Balances));
    }

    private static async Task<string?> TextAsync(string host, string sql)
    {
        var settings = new NpgsqlConnectionStringBuilder { Host = host, Username = "postgres", Database = "postgres", Pooling = false };
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (await command.ExecuteScalarAsync())?.ToString();
    }

    private static string Text(DateTime time) => time.ToString("yyyy-MM-dd HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    private List<string> ArchivedFiles() => new DirectoryInfo(cluster.Archive).EnumerateFiles("*", SearchOption.AllDirectories)
        .Select(static f => $"{f.FullName} {f.Length} {f.LastWriteTimeUtc:O}").Order(StringComparer.Ordinal).ToList();
}
