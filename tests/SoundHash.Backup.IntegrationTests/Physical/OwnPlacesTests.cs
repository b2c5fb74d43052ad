using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>A backup inside of what it backs up would hold itself, and be lost with it.</summary>
public sealed class OwnPlacesTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    [Fact]
    public async Task Directories_of_ours_inside_the_cluster_are_refused_before_anything_is_written()
    {
        var space = Path.Combine(cluster.Host, "space");
        var elsewhere = Path.Combine(cluster.Host, "elsewhere");
        await Command.ShellAsync(
            $"""
            mkdir '{space}' '{elsewhere}'; chown --reference='{cluster.DataDirectory}' '{space}' '{elsewhere}'
            ln -s '{cluster.DataDirectory}/base' '{cluster.Host}/way-in'; ln -s '{elsewhere}' '{cluster.DataDirectory}/way-out'
            """);
        await cluster.ExecuteAsync("postgres", $"CREATE TABLESPACE apart LOCATION '{space}'");
        var before = await EverythingAsync();
        (string Setting, string Place, string Says)[] cases =
        [
            ("BACKUP_DIR", cluster.DataDirectory, "is inside the data directory"),
            ("BACKUP_DIR", $"{cluster.DataDirectory}/backups", "is inside the data directory"),
            ("BACKUP_DIR", $"{cluster.Host}/way-in/a/b", "is inside the data directory"),
            ("BACKUP_DIR", $"{space}/backups", "pg_tblspc/"),
            ("BACKUP_DIR", $"{elsewhere}/backups", "/way-out in the data directory leads to"),
            ("BACKUP_DIR", $"{cluster.Host}/wal/backups", "/pg_wal in the data directory leads to"),
            ("BACKUP_STATE_DIR", $"{cluster.DataDirectory}/state", "is inside the data directory"),
            ("BACKUP_WAL_DIR", $"{cluster.DataDirectory}/archive", "is inside the data directory"),
            ("BACKUP_SPOOL_DIR", $"{cluster.Host}/way-in/spool", "is inside the data directory"),
        ];
        foreach (var (setting, place, says) in cases)
        {
            using var work = cluster.Workspace().Set(setting, place);

            (await work.RunAsync(PhysicalProbe.Arguments)).Expect(3).Says($"{setting}={place} is inside").Says(says).Says("elsewhere, on another disk");

            Assert.Equal(before, await EverythingAsync());
            Assert.False(Directory.Exists(work.Repository));
        }
    }

    // A role that may only stream is told no data directory.
    [Fact]
    public async Task Also_where_the_server_does_not_say_where_its_data_directory_is()
    {
        await cluster.ExecuteAsync("postgres", "CREATE ROLE streamer LOGIN REPLICATION");
        var place = Path.Combine(cluster.DataDirectory, "streamed");
        using var work = cluster.Workspace().Set("DATABASE_USER", "streamer").Set("BACKUP_DIR", place);

        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(3).Says($"BACKUP_DIR={place} is inside the data directory {cluster.DataDirectory}");

        Assert.False(Directory.Exists(place));
    }

    // But what the server itself writes by the by.
    private async Task<string> EverythingAsync() => (await Command.ShellAsync(
        $"find -L '{cluster.Host}' \\( -name pg_stat_tmp -o -name pgsql_tmp -o -name archive_status \\) -prune -o ! -name '[0-9]*' ! -name 'pg_internal*' ! -name 'log' ! -name '.s.*' -print 2>/dev/null | sort")).Output;
}
