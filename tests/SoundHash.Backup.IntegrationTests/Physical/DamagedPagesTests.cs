using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>Pages that are damaged on the server are found in passing, named, and make the set not good.</summary>
public sealed class DamagedPagesTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    private const int PageBytes = 8192;

    [Fact]
    public async Task A_flipped_bit_is_reported_by_relation_and_block_and_the_set_is_kept()
    {
        await using var table = await Table.MakeAsync(cluster, "precious");
        using var work = cluster.Workspace();
        var good = await work.BackupPhysicalAsync();
        SetEditor.FlipBit(table.File, (7 * PageBytes) + 5000);
        // A page that is there and was never written is no damage.
        await Command.ShellAsync($"head -c {PageBytes} /dev/zero >> '{table.File}'");

        var result = (await work.RunAsync(PhysicalProbe.Arguments)).Expect(8);

        result.Says("1 pages of the cluster have a wrong checksum").Says($"precious of database \"{table.Database}\"").Says("block 7");
        Assert.Equal([(table.Path, 7)], await DamagedPagesAsync(work));
        var sets = await work.JsonAsync(8, "backup", "list");
        Assert.Equal(2, sets.GetProperty("sets").GetArrayLength());
        var bad = sets.GetProperty("sets")[0];
        Assert.NotEqual(good, bad.GetProperty("id").GetString());
        Assert.Equal(1, bad.GetProperty("physical").GetProperty("damagedPages").GetInt32());
        Assert.Contains(
            "NOT GOOD: 1 damaged page", (await work.RunAsync("backup", "list")).Expect(8).Says("is not good: 1 of its pages").Output, StringComparison.Ordinal);
        foreach (var way in (string[][])[["show"], ["verify"], ["verify", "--deep"]])
        {
            (await work.RunAsync(["backup", .. way, bad.GetProperty("id").GetString()!])).Expect(8).Says("is not good: 1 of its pages");
        }

        (await work.RunAsync("backup", "verify", good)).Expect(0);

        (await StreamAsync(work)).Expect(8).Says("1 pages of the cluster have a wrong checksum").Says("block 7");
        Assert.Equal([(table.Path, 7)], await DamagedPagesAsync(work));
    }

    // Guards against this: what overwrote a page also wrote its LSN, and a page of the future was left to the replay.
    [Fact]
    public async Task A_page_that_was_overwritten_by_something_else_is_damage_whatever_its_LSN_says()
    {
        await using var table = await Table.MakeAsync(cluster, "overwritten");
        using var work = cluster.Workspace();
        await using (var file = File.OpenWrite(table.File))
        {
            file.Seek(3 * PageBytes, SeekOrigin.Begin);
            await file.WriteAsync(Enumerable.Repeat((byte)'#', PageBytes).ToArray(), TestContext.Current.CancellationToken);
        }

        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(8).Says("1 pages of the cluster have a wrong checksum").Says("block 3");
        Assert.Equal([(table.Path, 3)], await DamagedPagesAsync(work));
        (await StreamAsync(work)).Expect(8).Says("1 pages of the cluster have a wrong checksum").Says("block 3");
        Assert.Equal([(table.Path, 3)], await DamagedPagesAsync(work));
    }

    [Fact]
    public async Task A_restore_that_may_choose_takes_an_older_good_set_and_one_with_damaged_pages_only_when_it_is_named()
    {
        await using var table = await Table.MakeAsync(cluster, "chosen");
        using var work = cluster.Workspace();
        await using var place = await RestoredServer.PlaceAsync();
        string[] restore = ["restore", "--target-dir", place.Data, "--env-file", $"{work.Folder}/.env"];
        SetEditor.FlipBit(table.File, (2 * PageBytes) + 5000);
        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(8);
        foreach (var arguments in (string[][])[[.. restore, "--plan"], restore])
        {
            (await work.RunAsync(arguments)).Expect(1).Says("none of the 1 physical sets is good (whole, without damaged pages)").Says("--backup ID");
        }

        Assert.Equal([], Directory.GetFileSystemEntries(place.Folder));
        await table.HealAsync();
        var good = await work.BackupPhysicalAsync();
        SetEditor.FlipBit(table.File, (2 * PageBytes) + 5000);
        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(8);
        var bad = await NewestAsync(work);
        Assert.NotEqual(good, bad);
        await ArchivingCluster.GiveToPostgresAsync(work.Folder);

        Assert.Equal(good, (await work.JsonAsync(0, [.. restore, "--plan"])).GetProperty("setId").GetString());
        var named = (await work.RunAsync([.. restore, "--plan", "--backup", bad])).Expect(0).Says($"set {bad} has 1 damaged pages, as the server had them");
        Assert.Contains(bad, named.Output, StringComparison.Ordinal);
        (await work.RunAsync(restore)).Expect(0);

        await place.StartAsync();
        await place.PromotedAsync();
        Assert.Equal("2000", await place.TextAsync("SELECT count(*)::text FROM chosen", table.Database));
    }

    private static async Task<string> NewestAsync(Workspace work) =>
        (await work.JsonAsync(8, "backup", "list")).GetProperty("sets")[0].GetProperty("id").GetString()!;

    // As the newest set's manifest names them.
    private static async Task<IEnumerable<(string Path, long Block)>> DamagedPagesAsync(Workspace work) =>
        new SetEditor(work.SetFolder(await NewestAsync(work))).Manifest["physical"]!["damagedPages"]!.AsArray()
            .Select(static p => ((string)p!["path"]!, (long)p["block"]!));

    // Through pg_basebackup, as who may read no file.
    private async Task<CommandResult> StreamAsync(Workspace work)
    {
        var role = RestoreHelp.NewName();
        await cluster.ExecuteAsync("postgres", $"CREATE ROLE {role} LOGIN REPLICATION");
        return await work.Set("DATABASE_USER", role).RunAsync(PhysicalProbe.Arguments);
    }

    /// <summary>A table whose pages nobody has a reason to write again; whole again in the end, for the other tests of the cluster.</summary>
    private sealed class Table(string database, string data, string path, byte[] pages) : IAsyncDisposable
    {
        public string Database => database;

        /// <summary>Its file, relative to the data directory.</summary>
        public string Path => path;

        public string File => System.IO.Path.Combine(data, path);

        public static async Task<Table> MakeAsync(ScriptArchivingCluster cluster, string name)
        {
            var database = await cluster.CreateDatabaseAsync(
                $"CREATE TABLE {name} WITH (autovacuum_enabled = off) AS SELECT g AS id, repeat('p', 200) AS filler FROM generate_series(1, 2000) g");
            await cluster.ExecuteAsync(database, $"VACUUM (FREEZE) {name}");
            await cluster.ExecuteAsync(database, "CHECKPOINT");
            var path = (await cluster.TextAsync(database, $"SELECT pg_relation_filepath('{name}')"))!;
            var pages = await System.IO.File.ReadAllBytesAsync(System.IO.Path.Combine(cluster.DataDirectory, path));
            return new Table(database, cluster.DataDirectory, path, pages);
        }

        /// <summary>Makes it whole.</summary>
        public Task HealAsync() => System.IO.File.WriteAllBytesAsync(File, pages);

        public async ValueTask DisposeAsync() => await HealAsync();
    }
}
