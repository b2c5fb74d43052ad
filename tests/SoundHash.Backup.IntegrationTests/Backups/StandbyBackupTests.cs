using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.IntegrationTests.Physical;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Backups of a hot standby's databases, which take the load off the primary.</summary>
public sealed class StandbyBackupTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    [Fact]
    public async Task A_standbys_database_is_backed_up_and_says_that_unlogged_tables_have_no_rows_there()
    {
        var database = await cluster.CreateDatabaseAsync(
            """
            CREATE TABLE kept AS SELECT g AS id FROM generate_series(1, 100) g;
            CREATE UNLOGGED TABLE cache AS SELECT g AS id FROM generate_series(1, 100) g;
            """);
        using var physical = cluster.Workspace();
        var copied = await physical.BackupPhysicalAsync();
        await cluster.ArchiveAllAsync();
        await using var standby = await RestoredCopy.RestoreAsync(physical, cluster, copied);
        await standby.StartAsync(asStandby: true);
        using var work = new Workspace(cluster, database).Set("DATABASE_HOST", standby.Host);

        (await work.RunAsync("backup", "--fingerprint")).Expect(0)
            .Says("the rows of \"public\".\"cache\" are not in the set: it is unlogged, and a standby has none of them");

        var id = Assert.Single(await work.ListedAsync());
        var contents = await work.ContentsAsync(id);
        Assert.Equal(100, contents.RowsOf("kept"));
        Assert.False(contents.Table("cache").TryGetProperty("rows", out var rows) && rows.ValueKind != JsonValueKind.Null);
        work.Set("DATABASE_HOST", cluster.Host);
        var back = await work.RestoreBesideAsync(id);
        Assert.Equal("100 0", await cluster.TextAsync(back, "SELECT (SELECT count(*) FROM kept) || ' ' || (SELECT count(*) FROM cache)"));
    }
}
