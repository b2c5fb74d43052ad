using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.StorageContract.Scripted;
using SoundHash.Backup.StorageContract.Swift;

namespace SoundHash.Backup.IntegrationTests.Storage;

/// <summary>
/// A cluster whose sets and WAL go to a directory, to a bucket of a real S3 server, and to one of a server that speaks Google Cloud
/// Storage's language.
/// </summary>
public sealed class ThreeStoresCluster : ArchivingCluster
{
    private readonly SwiftServer _swift = new();
    private readonly ScriptedGcs _gcs = new();

    public string Bucket { get; } = $"backups-{Guid.NewGuid():n}";

    /// <summary>Settings of the bucket, as lines of a .env file.</summary>
    public IReadOnlyList<string> BucketSettings =>
    [
        "BACKUP_S3_ENABLED=true", $"BACKUP_S3_BUCKET={Bucket}", $"BACKUP_S3_ENDPOINT={_swift.Endpoint}", $"BACKUP_S3_REGION={_swift.Region}",
        $"AWS_ACCESS_KEY_ID={_swift.AccessKey}", $"AWS_SECRET_ACCESS_KEY={_swift.SecretKey}",
    ];

    /// <summary>Settings of the bucket at Google's.</summary>
    public IReadOnlyList<string> GcsSettings =>
        ["BACKUP_GCS_ENABLED=true", $"BACKUP_GCS_BUCKET={ScriptedGcs.Bucket}", $"STORAGE_EMULATOR_HOST={_gcs.Server.Address}"];

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        // An emulator asks for no token, and is given none.
        _gcs.NeedsToken = false;
        await _swift.InitializeAsync();
        await _swift.CreateBucketAsync(Bucket);
        await base.InitializeAsync();
        await StartArchivingAsync([$"BACKUP_STATE_DIR=\"{Site}/state\"", "BACKUP_WAL_S3_ENABLED=true", "BACKUP_WAL_GCS_ENABLED=true", .. BucketSettings, .. GcsSettings]);
        (await RunAsync("backup", "--kind", "physical", "--env-file", EnvFile)).Expect(0);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _swift.DisposeAsync();
        await _gcs.DisposeAsync();
    }
}

/// <summary>Backups to buckets, through the built executable.</summary>
public sealed class BucketTests(ThreeStoresCluster cluster) : IClassFixture<ThreeStoresCluster>
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
        work.Set("BACKUP_S3_ENABLED", "false");
        var old = await work.BackupAsync();
        new SetEditor(work.SetFolder(old)).Date(SetEditor.Now.AddDays(-31));
        work.Set("BACKUP_S3_ENABLED", "true").Set("BACKUP_S3_RETENTION_STANDARD_DAYS", "60");
        (await work.RunAsync("backup", "replicate", old, "--from", "local", "--to", "s3")).Expect(0);
        var newest = await work.BackupAsync();
        work.Unset("BACKUP_S3_RETENTION_STANDARD_DAYS");

        (await work.RunAsync("backup", "expire")).Expect(0);

        var left = (await work.RunAsync("backup", "list", "--from", "s3")).Expect(0).Output;
        Assert.Contains(newest, left, StringComparison.Ordinal);
        Assert.DoesNotContain(old, left, StringComparison.Ordinal);
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

    // A server that a restore starts would give them to whoever may run COPY FROM PROGRAM.
    [Fact]
    public async Task Keys_of_the_env_file_reach_no_program_that_is_started()
    {
        using var work = await WorkAsync();
        var seen = Path.Combine(work.Folder, "environment");
        work.Set("BACKUP_HOOK_PRE_BACKUP", $"env > '{seen}'");

        await work.BackupAsync();

        var environment = await File.ReadAllTextAsync(seen, TestContext.Current.CancellationToken);
        Assert.Contains("SHBACKUP_VERB=", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("AWS_ACCESS_KEY_ID", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("AWS_SECRET_ACCESS_KEY", environment, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("local")]
    [InlineData("s3")]
    [InlineData("gcs")]
    public async Task A_backup_to_three_stores_is_restored_from_each_of_them_alone(string store)
    {
        using var work = await WorkAsync();
        foreach (var line in cluster.GcsSettings)
        {
            work.Set(line.Split('=', 2)[0], line.Split('=', 2)[1]);
        }

        await work.UseAgeAsync();
        work.Set("BACKUP_GCS_PREFIX", Guid.NewGuid().ToString("n"));
        var id = await work.BackupAsync("--jobs", "2", "--fingerprint");
        Assert.Contains("local,s3,gcs", (await work.RunAsync("backup", "list")).Expect(0).Output, StringComparison.Ordinal);
        if (store != "local")
        {
            Directory.Move(work.Repository, $"{work.Repository}.lost");
        }

        (await work.RunAsync("backup", "verify", id, "--deep", "--from", store)).Expect(0);
        (await work.RunAsync("restore", "--latest", "--from", store, "--target-db", RestoreHelp.NewName())).Expect(0);
    }

    [Theory]
    [InlineData("local")]
    [InlineData("s3")]
    [InlineData("gcs")]
    public async Task A_server_is_recovered_to_a_moment_from_one_store_alone(string store)
    {
        await cluster.ExecuteAsync("postgres", $"CREATE TABLE in_{store} AS SELECT 42 AS n");
        await cluster.ExecuteAsync("postgres", $"SELECT pg_create_restore_point('before_{store}')");
        await cluster.ExecuteAsync("postgres", $"DROP TABLE in_{store}");
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        (await cluster.RunAsync("wal-archive", "verify", "--from", store, "--env-file", cluster.EnvFile)).Expect(0);
        string[] lost = store == "local" ? [] : [$"{cluster.Site}/backups", cluster.Archive];
        foreach (var directory in lost)
        {
            Directory.Move(directory, $"{directory}.lost");
        }

        try
        {
            var target = Path.Combine(cluster.Host, $"restored-{store}");
            (await cluster.RunAsync(
                "restore", "--target-dir", target, "--to-name", $"before_{store}", "--action", "promote", "--from", store, "--env-file", cluster.EnvFile)).Expect(0);
            await using var server = await RestoredServer.AtAsync(target);
            await server.StartAsync();
            await server.PromotedAsync();
            Assert.Equal("42", await server.TextAsync($"SELECT n::text FROM in_{store}"));
        }
        finally
        {
            foreach (var directory in lost)
            {
                Directory.Move($"{directory}.lost", directory);
            }
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
