using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.StorageContract.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>Which buckets get WAL, and what a bucket that answers nothing costs.</summary>
public sealed class WalBucketTests : IAsyncLifetime
{
    private readonly ScriptedS3 _s3 = new();
    private readonly ScriptedGcs _gcs = new() { NeedsToken = false };
    private readonly ArchivingCluster _cluster = new();

    public async ValueTask InitializeAsync()
    {
        await _cluster.InitializeAsync();
        await _cluster.StartArchivingAsync(
            $"BACKUP_STATE_DIR=\"{_cluster.Site}/state\"", "BACKUP_S3_ENABLED=true", $"BACKUP_S3_BUCKET={ScriptedS3.Bucket}", $"BACKUP_S3_ENDPOINT={_s3.Server.Address}",
            "BACKUP_S3_REGION=us-east-1", $"AWS_ACCESS_KEY_ID={ScriptedS3.AccessKey}", "AWS_SECRET_ACCESS_KEY=secret", "BACKUP_GCS_ENABLED=true",
            $"BACKUP_GCS_BUCKET={ScriptedGcs.Bucket}", $"STORAGE_EMULATOR_HOST={_gcs.Server.Address}", "BACKUP_WAL_S3_ENABLED=false", "BACKUP_WAL_GCS_ENABLED=false");
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        await _s3.DisposeAsync();
        await _gcs.DisposeAsync();
    }

    [Fact]
    public async Task A_bucket_gets_WAL_exactly_while_its_setting_is_on()
    {
        foreach (var (s3, gcs) in ((bool, bool)[])[(false, false), (true, false), (false, true), (true, true), (false, false)])
        {
            await SetAsync("BACKUP_WAL_S3_ENABLED", s3 ? "true" : "false");
            await SetAsync("BACKUP_WAL_GCS_ENABLED", gcs ? "true" : "false");
            var segment = await _cluster.SwitchWalAsync();
            await _cluster.ArchivedAsync(segment);

            Assert.Equal((s3, gcs), (IsInS3(segment), IsInGcs(segment)));
            Assert.True(File.Exists(Path.Combine(await _cluster.ArchiveOfClusterAsync(), segment[..8], segment)));
        }
    }

    // The segment stays with PostgreSQL until every store has it that must: and it is there when that answers again.
    [Fact]
    public async Task A_bucket_that_refuses_keeps_the_segment_in_pg_wal_unless_it_may_be_missing()
    {
        await SetAsync("BACKUP_WAL_S3_ENABLED", "true");
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());
        _s3.Denied = static r => r.Method == "PUT";

        var segment = await _cluster.SwitchWalAsync();
        await Eventually.TrueAsync(
            async () => await _cluster.TextAsync("postgres", $"SELECT '{segment}' FROM pg_stat_archiver WHERE last_failed_wal = '{segment}'") is not null, "the archiver failed");
        Assert.True(File.Exists(Path.Combine(_cluster.DataDirectory, "pg_wal", "archive_status", $"{segment}.ready")));

        await SetAsync("BACKUP_REQUIRED_COPIES", "1");
        await _cluster.ArchivedAsync(segment);
        Assert.False(IsInS3(segment));

        _s3.Denied = static _ => false;
        (await _cluster.RunAsync("backup", "replicate", "--all", "--from", "local", "--to", "s3", "--env-file", _cluster.EnvFile)).Expect(0);
        Assert.True(IsInS3(segment));
    }

    private bool IsInS3(string segment) => _s3.HeaderOfAll("x").Keys.Any(k => k.EndsWith($"/{segment}", StringComparison.Ordinal));

    private bool IsInGcs(string segment) => _gcs.All().Any(o => o.Name.EndsWith($"/{segment}", StringComparison.Ordinal));

    private async Task SetAsync(string name, string value)
    {
        var lines = (await File.ReadAllLinesAsync(_cluster.EnvFile)).Where(l => !l.StartsWith($"{name}=", StringComparison.Ordinal));
        await File.WriteAllLinesAsync(_cluster.EnvFile, lines.Append($"{name}={value}"));
    }
}
