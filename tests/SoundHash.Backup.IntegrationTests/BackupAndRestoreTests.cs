using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests;

/// <summary>The main job, end to end.</summary>
public sealed class BackupAndRestoreTests(PostgresCluster cluster)
{
    private const string Tables =
        """
        CREATE TABLE channels (id bigserial PRIMARY KEY, name text NOT NULL);
        CREATE TABLE videos (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, channel_id bigint REFERENCES channels, title text);
        INSERT INTO channels (name) SELECT 'channel ' || g FROM generate_series(1, 100) g;
        INSERT INTO videos (channel_id, title) SELECT 1 + g % 100, md5(g::text) FROM generate_series(1, 5000) g;
        """;

    [Fact]
    public async Task An_encrypted_backup_restores_with_the_same_rows_and_content()
    {
        var database = await cluster.CreateDatabaseAsync(Tables);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();

        await work.BackupAsync("--fingerprint");
        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {database}");
        var document = await work.JsonAsync(0, "restore", "--latest");

        var result = document.GetProperty("restores")[0].GetProperty("result");
        Assert.Equal(2, result.GetProperty("tablesCompared").GetInt32());
        Assert.Equal(2, result.GetProperty("fingerprintsCompared").GetInt32());
        Assert.Equal(5100, result.GetProperty("rows").GetInt64());
        Assert.Equal("5000", await cluster.TextAsync(database, "SELECT count(*) FROM videos v JOIN channels c ON c.id = v.channel_id"));
    }
}
