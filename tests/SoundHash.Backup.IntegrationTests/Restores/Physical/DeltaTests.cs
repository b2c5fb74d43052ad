using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>A set takes the place of an old copy of its cluster: what is unchanged stays, and no transaction is lost by that.</summary>
public sealed class DeltaTests(HistoryCluster cluster) : IClassFixture<HistoryCluster>
{
    [Fact]
    public async Task Unchanged_files_stay_others_are_replaced_and_what_is_foreign_goes()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        (await cluster.RestoreAsync(restored, "--latest")).Expect(0);
        await restored.StartAsync();
        await restored.PromotedAsync();
        await restored.TextAsync("INSERT INTO marker VALUES (100); CREATE TABLE later AS SELECT generate_series(1, 1000) AS id; CHECKPOINT");
        await restored.StopAsync();
        var outside = Path.Combine(restored.Folder, "outside");
        Directory.CreateDirectory(outside);
        File.WriteAllText(Path.Combine(outside, "kept"), string.Empty);
        File.CreateSymbolicLink(Path.Combine(restored.Data, "link"), outside);
        Directory.CreateDirectory(Path.Combine(restored.Data, "foreign", "deep"));
        File.Delete(Path.Combine(restored.Data, "pg_ident.conf"));
        File.CreateSymbolicLink(Path.Combine(restored.Data, "pg_ident.conf"), Path.Combine(outside, "kept"));

        await ArchivingCluster.GiveToPostgresAsync(restored.Data);

        (await cluster.RestoreAsync(restored, "--to-xid", cluster[4].Xid)).Expect(1).Says("is not empty");
        (await cluster.RestoreAsync(restored, "--to-xid", cluster[4].Xid, "--delta")).Expect(2).Says("add --yes");
        Assert.True(File.Exists(restored.ControlFile));
        var result = (await cluster.RestoreAsync(
            restored, "--to-xid", cluster[4].Xid, "--action", "promote", "--delta", "--yes", "--json")).Expect(0);

        using var document = JsonDocument.Parse(result.Output);
        var restore = document.RootElement.GetProperty("restore");
        Assert.True(restore.GetProperty("filesKept").GetInt32() > 500, result.Output);
        Assert.True(restore.GetProperty("filesRemoved").GetInt32() > 3, result.Output);
        Assert.True(restore.GetProperty("bytes").GetInt64() < 20_000_000, result.Output);
        Assert.Equal(["kept"], Directory.GetFileSystemEntries(outside).Select(Path.GetFileName));
        await restored.VerifyAsync();
        await restored.StartAsync();
        await restored.PromotedAsync();
        Assert.Equal("1,2,3,4", await restored.TextAsync("SELECT string_agg(n::text, ',' ORDER BY n) FROM marker"));
        Assert.Equal(string.Empty, await restored.TextAsync("SELECT to_regclass('later')::text"));

        // What the old copy alone had, on its own timeline, is not lost, and is not followed unless somebody says so.
        var saved = restore.GetProperty("savedWal").GetString()!;
        Assert.True(File.Exists(Path.Combine(saved, "00000002.history")));
        Assert.Contains(Directory.GetFiles(saved), static f => Path.GetFileName(f).StartsWith("00000002", StringComparison.Ordinal) && Path.GetFileName(f).Length == 24);
    }

    [Theory]
    [InlineData("base/1/PG_VERSION")]
    [InlineData("global/pg_control")]
    public async Task WAL_that_only_the_lost_server_had_is_saved_and_replayed(string broken)
    {
        await using var lost = new ArchivedCluster();
        await lost.InitializeAsync();
        await lost.ExecuteAsync("postgres", "CREATE TABLE rows AS SELECT 1 AS id");
        HistoryCluster.Id(await lost.RunAsync("backup", "--kind", "physical", "--env-file", lost.EnvFile, "--json"));
        await lost.ExecuteAsync("postgres", "INSERT INTO rows VALUES (2)");
        await lost.ArchivedAsync(await lost.SwitchWalAsync());
        await lost.ExecuteAsync("postgres", "INSERT INTO rows VALUES (3)");
        await RestoredServer.StopAsync(lost.DataDirectory, "immediate");
        File.Delete(Path.Combine(lost.DataDirectory, broken));
        string[] restore = ["restore", "--target-dir", lost.DataDirectory, "--delta", "--yes", "--env-file", lost.EnvFile];

        var result = (await lost.RunAsync(restore)).Expect(0);

        Assert.Contains("saved-wal", result.Output, StringComparison.Ordinal);
        await using var server = await RestoredServer.AtAsync(lost.DataDirectory);
        await server.VerifyAsync();
        await server.StartAsync();
        await server.PromotedAsync();
        Assert.Equal("1,2,3", await server.TextAsync("SELECT string_agg(id::text, ',' ORDER BY id) FROM rows"));
    }

    // Guards against this: archiving is off in what was recovered, and what was written there since was left behind without a word.
    [Fact]
    public async Task What_a_recovered_server_wrote_since_on_its_own_timeline_is_not_left_unasked()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        (await cluster.RestoreAsync(restored, "--latest")).Expect(0);
        await restored.StartAsync();
        await restored.PromotedAsync();
        await restored.TextAsync("INSERT INTO marker VALUES (100)");
        await RestoredServer.StopAsync(restored.Data, "immediate");

        (await cluster.RestoreAsync(restored, "--delta", "--yes")).Expect(1).Says("was on timeline 2").Says("--timeline 2");
        Assert.True(File.Exists(restored.ControlFile));

        (await cluster.RestoreAsync(restored, "--delta", "--yes", "--timeline", "2")).Expect(0);
        await restored.StartAsync();
        await restored.PromotedAsync();
        Assert.Equal("100", await restored.TextAsync("SELECT max(n)::text FROM marker"));
        (await cluster.RestoreAsync(await RestoredServer.AtAsync(Path.Combine(restored.Data, "inside")))).Expect(2).Says("is a data directory itself");
    }

    [Fact]
    public async Task A_directory_of_another_cluster_or_of_none_is_left_alone()
    {
        await using var other = new PostgresCluster();
        await other.InitializeAsync();
        await RestoredServer.StopAsync(other.DataDirectory, "fast");
        await using var none = await RestoredServer.PlaceAsync();
        Directory.CreateDirectory(none.Data);
        File.WriteAllText(Path.Combine(none.Data, "mine"), "mine");
        string[] arguments = ["restore", "--target-dir", other.DataDirectory, "--delta", "--yes", "--env-file", cluster.EnvFile];

        (await cluster.RunAsync(arguments)).Expect(1).Says("is a data directory of another cluster");
        (await cluster.RestoreAsync(none, "--delta", "--yes")).Expect(1).Says("is no data directory");
        File.Delete(Path.Combine(other.DataDirectory, "global", "pg_control"));
        (await cluster.RunAsync(arguments)).Expect(1).Says("its pg_wal does not say that it is of cluster").Says("may have WAL that no archive has");

        Assert.True(File.Exists(Path.Combine(other.DataDirectory, "PG_VERSION")));
        Assert.Equal(["mine"], Directory.GetFileSystemEntries(none.Data).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_directory_of_another_version_is_refused_and_not_touched()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        (await cluster.RestoreAsync(restored)).Expect(0);
        var major = PostgresPrograms.Major;
        await File.WriteAllTextAsync(Path.Combine(restored.Data, "PG_VERSION"), $"{major - 1}\n", TestContext.Current.CancellationToken);
        var before = await SumsAsync(restored.Folder);

        (await cluster.RestoreAsync(restored, "--delta", "--yes"))
            .Expect(1).Says($"is a data directory of PostgreSQL {major - 1}, and the set of {major}; --delta changes nothing there").Says("without --delta");

        Assert.Equal(before, await SumsAsync(restored.Folder));
    }

    private static async Task<string> SumsAsync(string folder) =>
        (await Command.ShellAsync($"cd '{folder}' && find . -type f -exec sha256sum {{}} + | sort")).Output;
}
