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
        (await StreamAsync(work)).Expect(8).Says("1 pages of the cluster have a wrong checksum").Says("block 3");
    }

    // Through pg_basebackup, as who may read no file.
    private async Task<CommandResult> StreamAsync(Workspace work)
    {
        var role = RestoreHelp.NewName();
        await cluster.ExecuteAsync("postgres", $"CREATE ROLE {role} LOGIN REPLICATION");
        return await work.Set("DATABASE_USER", role).RunAsync(PhysicalProbe.Arguments);
    }

    /// <summary>A table whose pages nobody has a reason to write again; whole again in the end, for the other tests of the cluster.</summary>
    private sealed class Table(string database, string file, byte[] pages) : IAsyncDisposable
    {
        public string Database => database;

        public string File => file;

        public static async Task<Table> MakeAsync(ScriptArchivingCluster cluster, string name)
        {
            var database = await cluster.CreateDatabaseAsync(
                $"CREATE TABLE {name} WITH (autovacuum_enabled = off) AS SELECT g AS id, repeat('p', 200) AS filler FROM generate_series(1, 2000) g");
            await cluster.ExecuteAsync(database, $"VACUUM (FREEZE) {name}");
            await cluster.ExecuteAsync(database, "CHECKPOINT");
            var file = Path.Combine(cluster.DataDirectory, (await cluster.TextAsync(database, $"SELECT pg_relation_filepath('{name}')"))!);
            return new Table(database, file, await System.IO.File.ReadAllBytesAsync(file));
        }

        public async ValueTask DisposeAsync() => await System.IO.File.WriteAllBytesAsync(file, pages);
    }
}
