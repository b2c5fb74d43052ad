using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>What is of the whole cluster goes on when the database that the settings name was dropped, or was never made.</summary>
public sealed class LostDatabaseTests
{
    [Fact]
    public async Task Archiving_and_backups_of_the_cluster_need_no_database_of_that_name()
    {
        await using var cluster = new ArchivedCluster();
        await cluster.InitializeAsync();
        await LoseAsync(cluster);

        foreach (var verb in (string[])["wal-archive generate-config", "wal-archive generate-config --apply", "backup --all-databases", "backup --kind physical"])
        {
            (await cluster.RunAsync([.. verb.Split(' '), "--env-file", cluster.EnvFile])).Expect(0);
        }

        (await cluster.RunAsync("backup", "--env-file", cluster.EnvFile)).Expect(5).Says("\"lost\"").Says("does not exist");
    }

    [Fact]
    public async Task A_receiver_does_not_stay_down_for_it_although_postgres_is_gone_too()
    {
        await using var cluster = new ReceivingCluster();
        await cluster.InitializeAsync();
        await cluster.ExecuteAsync("postgres", "CREATE DATABASE other");
        await cluster.ExecuteAsync("other", "DROP DATABASE postgres WITH (FORCE)");
        await LoseAsync(cluster);

        await using (await cluster.ReceiveAsync())
        {
        }

        (await cluster.RunAsync("wal-archive", "receive", "--drop-slot", "--env-file", cluster.EnvFile)).Expect(0);
    }

    private static async Task LoseAsync(ArchivingCluster cluster) => await File.WriteAllTextAsync(
        cluster.EnvFile, (await File.ReadAllTextAsync(cluster.EnvFile)).Replace("DATABASE_NAME=postgres", "DATABASE_NAME=lost", StringComparison.Ordinal));
}
