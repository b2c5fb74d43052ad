using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.StorageContract.Swift;

namespace SoundHash.Backup.IntegrationTests.Storage;

/// <summary>A cluster whose sets and WAL go to a directory and to a bucket of a real S3 server.</summary>
public sealed class SwiftCluster : ArchivingCluster
{
    private readonly SwiftServer _swift = new();

    public string Bucket { get; } = $"backups-{Guid.NewGuid():n}";

    /// <summary>Settings of the bucket, as lines of a .env file.</summary>
    public IReadOnlyList<string> BucketSettings =>
    [
        "BACKUP_S3_ENABLED=true", $"BACKUP_S3_BUCKET={Bucket}", $"BACKUP_S3_ENDPOINT={_swift.Endpoint}", $"BACKUP_S3_REGION={_swift.Region}",
        $"AWS_ACCESS_KEY_ID={_swift.AccessKey}", $"AWS_SECRET_ACCESS_KEY={_swift.SecretKey}",
    ];

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await _swift.InitializeAsync();
        await _swift.CreateBucketAsync(Bucket);
        await base.InitializeAsync();
        await StartArchivingAsync([$"BACKUP_STATE_DIR=\"{Site}/state\"", "BACKUP_WAL_S3_ENABLED=true", .. BucketSettings]);
        (await RunAsync("backup", "--kind", "physical", "--env-file", EnvFile)).Expect(0);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _swift.DisposeAsync();
    }
}

/// <summary>Backups to a real S3 server, through the built executable.</summary>
public sealed class SwiftTests(SwiftCluster cluster) : IClassFixture<SwiftCluster>
{
    // Guards against this: with S3 turned on and encryption, a restore from there found nothing, since only *.dump was looked for.
    [Fact]
    public async Task An_encrypted_backup_is_restored_from_the_bucket_alone()
    {
        using var work = await WorkAsync();
        await work.UseAgeAsync();
        var id = await work.BackupAsync("--fingerprint");
        Directory.Move(work.Repository, $"{work.Repository}.lost");

        Assert.Contains("s3", (await work.RunAsync("backup", "list")).Expect(0).Output, StringComparison.Ordinal);
        (await work.RunAsync("backup", "verify", id, "--deep", "--from", "s3")).Expect(0);
        (await work.RunAsync("restore", "--latest", "--from", "s3", "--target-db", RestoreHelp.NewName())).Expect(0);
    }

    [Fact]
    public async Task BACKUP_S3_ENABLED_alone_makes_a_copy_there_and_false_makes_none()
    {
        using var work = await WorkAsync();
        var both = await work.BackupAsync();
        work.Set("BACKUP_S3_ENABLED", "false");
        var local = await work.BackupAsync();
        var added = await work.BackupAsync("--s3");
        work.Set("BACKUP_S3_ENABLED", "true");

        var listed = (await work.RunAsync("backup", "list", "--from", "s3")).Expect(0).Output;

        Assert.Contains(both, listed, StringComparison.Ordinal);
        Assert.Contains(added, listed, StringComparison.Ordinal);
        Assert.DoesNotContain($"{local} ", listed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_expires_is_removed_from_the_bucket_too()
    {
        using var work = await WorkAsync();
        var old = await work.BackupAsync("--name", "nightly");
        var newest = await work.BackupAsync("--name", "nightly");
        // By a clock that is 31 days ahead both are past their time, and the newest stays all the same; the store's clock is another one.
        work.Set("BACKUP_RETENTION_DAYS", "1");

        var kept = await work.RunAsync("backup", "expire");

        kept.Expect(0);
        Assert.Equal(2, kept.Output.Split('\n').Count(l => l.Contains(old, StringComparison.Ordinal) && l.StartsWith("kept", StringComparison.Ordinal)));
        Assert.Contains(newest, kept.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("BACKUP_S3_BUCKET", "no-such-bucket-at-all", "no-such-bucket-at-all")]
    [InlineData("AWS_SECRET_ACCESS_KEY", "wrong-secret", "store s3")]
    [InlineData("BACKUP_S3_ENDPOINT", "http://127.0.0.1:1", "store s3")]
    public async Task A_bucket_that_can_not_be_used_costs_its_copy_alone_and_no_secret_is_told(string setting, string value, string says)
    {
        using var work = await WorkAsync();
        work.Set(setting, value);

        var result = await work.RunAsync("backup", "--log-level", "debug");

        result.Expect(6).Says(says).Says("hint: ");
        Assert.DoesNotContain("wrong-secret", result.Output + result.Error, StringComparison.Ordinal);
        work.Set("BACKUP_REQUIRED_COPIES", "1");
        (await work.RunAsync("backup")).Expect(10);
        (await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
    }

    [Fact]
    public async Task A_server_is_recovered_to_a_moment_from_the_bucket_alone()
    {
        await cluster.ExecuteAsync("postgres", "CREATE TABLE in_the_bucket AS SELECT 42 AS n");
        await cluster.ExecuteAsync("postgres", "SELECT pg_create_restore_point('before_drop')");
        await cluster.ExecuteAsync("postgres", "DROP TABLE in_the_bucket");
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        (await cluster.RunAsync("wal-archive", "verify", "--from", "s3", "--env-file", cluster.EnvFile)).Expect(0);
        Directory.Move($"{cluster.Site}/backups", $"{cluster.Site}/backups.lost");
        Directory.Move(cluster.Archive, $"{cluster.Archive}.lost");
        try
        {
            var target = Path.Combine(cluster.Host, "restored");
            (await cluster.RunAsync("restore", "--target-dir", target, "--to-name", "before_drop", "--action", "promote", "--from", "s3", "--env-file", cluster.EnvFile)).Expect(0);
            await using var server = await RestoredServer.AtAsync(target);
            await server.StartAsync();
            await server.PromotedAsync();
            Assert.Equal("42", await server.TextAsync("SELECT n::text FROM in_the_bucket"));
        }
        finally
        {
            Directory.Move($"{cluster.Archive}.lost", cluster.Archive);
            Directory.Move($"{cluster.Site}/backups.lost", $"{cluster.Site}/backups");
        }
    }

    private async Task<Workspace> WorkAsync()
    {
        var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT generate_series(1, 5000) AS n"));
        foreach (var line in cluster.BucketSettings)
        {
            work.Set(line.Split('=', 2)[0], line.Split('=', 2)[1]);
        }

        // A bucket is shared by all tests here: each has a prefix of its own.
        return work.Set("BACKUP_S3_PREFIX", Guid.NewGuid().ToString("n")).Set("BACKUP_STATE_DIR", "./state");
    }
}
