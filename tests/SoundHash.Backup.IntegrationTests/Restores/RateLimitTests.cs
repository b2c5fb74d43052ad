using SoundHash.Backup.IntegrationTests.Backups;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>BACKUP_RATE_LIMIT spares the server that is restored into.</summary>
public sealed class RateLimitTests(PostgresCluster cluster)
{
    // What is loaded takes three seconds at this rate, of which the meter gives one as credit.
    private const double AtLeastSeconds = 1.9;

    [Theory]
    [InlineData("--latest", "--jobs", "2")]
    [InlineData("--file", "file.dump", "--jobs", "2")]
    [InlineData("--file", "file.tar")]
    [InlineData("--file", "file.sql")]
    public async Task A_rate_limit_holds_for_what_is_loaded(params string[] what)
    {
        var source = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, source);
        work.Environment["PGDATABASE"] = source;
        if (what[0] == "--latest")
        {
            await work.BackupAsync();
        }

        await work.MakeDumpAsync("file.dump", "cp $D $F; $PGRESTORE_SOURCE/pg_dump -Ft -f file.tar; $PGRESTORE_SOURCE/pg_dump -f file.sql");
        var bytes = new FileInfo(Path.Combine(work.Folder, "file.dump")).Length;
        work.Set("BACKUP_RATE_LIMIT", (bytes / 3).ToString(System.Globalization.CultureInfo.InvariantCulture));

        var document = await work.JsonAsync(0, ["restore", .. what, "--target-db", RestoreHelp.NewName()]);

        var load = document.GetProperty("restores")[0].GetProperty("result").GetProperty("phases").EnumerateArray()
            .Single(static p => p.GetProperty("name").GetString() == "load").GetProperty("seconds").GetDouble();
        Assert.True(load >= AtLeastSeconds, $"loaded {bytes} bytes in {load} s");
    }

    [Fact]
    public async Task A_limit_that_can_not_be_kept_is_told()
    {
        var source = await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS x");
        using var work = new Workspace(cluster, source).Set("BACKUP_RATE_LIMIT", "1M");
        work.Environment["PGDATABASE"] = source;
        await work.MakeDumpAsync("file.dir", "$PGRESTORE_SOURCE/pg_dump -Fd -f $F");

        (await work.RunAsync("restore", "--file", "file.dir", "--target-db", RestoreHelp.NewName())).Expect(0).Says("BACKUP_RATE_LIMIT does not hold");
    }
}
