using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>Pages that are damaged on the server are found in passing, named, and make the set not good.</summary>
public sealed class DamagedPagesTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    private const int PageBytes = 8192;

    [Fact]
    public async Task A_flipped_bit_is_reported_by_relation_and_block_and_the_set_is_kept()
    {
        var database = await cluster.CreateDatabaseAsync(
            "CREATE TABLE precious WITH (autovacuum_enabled = off) AS SELECT g AS id, repeat('p', 200) AS filler FROM generate_series(1, 2000) g");
        // So that nobody has a reason to write its pages again.
        await cluster.ExecuteAsync(database, "VACUUM (FREEZE) precious");
        await cluster.ExecuteAsync(database, "CHECKPOINT");
        var file = Path.Combine(cluster.DataDirectory, (await cluster.TextAsync(database, "SELECT pg_relation_filepath('precious')"))!);
        using var work = cluster.Workspace();
        var good = await work.BackupPhysicalAsync();
        SetEditor.FlipBit(file, (7 * PageBytes) + 5000);
        // A page that is there and was never written is no damage.
        await Command.ShellAsync($"head -c {PageBytes} /dev/zero >> '{file}'");

        var result = (await work.RunAsync(PhysicalProbe.Arguments)).Expect(8);

        result.Says("1 pages of the cluster have a wrong checksum").Says($"precious of database \"{database}\"").Says("block 7");
        var sets = await work.JsonAsync(0, "backup", "list");
        Assert.Equal(2, sets.GetProperty("sets").GetArrayLength());
        var bad = sets.GetProperty("sets")[0];
        Assert.NotEqual(good, bad.GetProperty("id").GetString());
        Assert.Equal(1, bad.GetProperty("physical").GetProperty("damagedPages").GetInt32());
        Assert.Contains("NOT GOOD: 1 damaged page", (await work.RunAsync("backup", "list")).Output, StringComparison.Ordinal);
        (await work.RunAsync("backup", "verify", bad.GetProperty("id").GetString()!, "--deep")).Expect(0);

        // Through pg_basebackup the same page is found.
        await cluster.ExecuteAsync("postgres", "CREATE ROLE streamer LOGIN REPLICATION");
        work.Set("DATABASE_USER", "streamer");
        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(8).Says("1 pages of the cluster have a wrong checksum").Says("block 7");
    }
}
