using System.Globalization;
using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.StorageContract.S3;

namespace SoundHash.Backup.IntegrationTests.Storage;

/// <summary>Sets that a bucket keeps locked, each store's own retention, and what a clean-up makes of both.</summary>
public sealed class LockedBucketTests(PostgresCluster cluster) : IAsyncDisposable
{
    private const string Mode = "x-amz-object-lock-mode";
    private const string Until = "x-amz-object-lock-retain-until-date";

    private readonly ScriptedS3 _s3 = new() { HasLocks = true };
    private readonly string _prefix = Guid.NewGuid().ToString("n");

    public ValueTask DisposeAsync() => _s3.DisposeAsync();

    [Fact]
    public async Task A_tier_that_is_locked_is_so_until_its_end_in_that_store_and_others_are_not()
    {
        using var work = await WorkAsync();
        work.Set("BACKUP_S3_OBJECT_LOCK", "archive=compliance").Set("BACKUP_S3_RETENTION_ARCHIVE_DAYS", "400").Set("BACKUP_S3_STORAGE_CLASS", "archive=GLACIER_IR");
        var nightly = await work.BackupAsync("--name", "nightly");
        var monthly = await work.BackupAsync("--name", "monthly");

        Assert.All(Of(nightly, Mode), static o => Assert.Null(o.Value));
        Assert.All(Of(nightly, "x-amz-storage-class"), static o => Assert.Null(o.Value));
        var locked = Of(monthly, Mode);
        Assert.Equal(Directory.GetFiles(work.SetFolder(monthly)).Length, locked.Count);
        Assert.All(locked, static o => Assert.Equal("COMPLIANCE", o.Value));
        var end = ((DateTimeOffset)new SetEditor(work.SetFolder(monthly)).Manifest["started"]!).AddDays(400);
        Assert.All(Of(monthly, Until), o => Assert.Equal(end, DateTimeOffset.Parse(o.Value!, CultureInfo.InvariantCulture), TimeSpan.FromSeconds(1)));
        Assert.All(Of(monthly, "x-amz-storage-class"), static o => Assert.Equal("GLACIER_IR", o.Value));
        Assert.Contains($"{end:yyyy-MM-dd}", (await work.RunAsync("backup", "list", "--from", "s3")).Expect(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bucket_that_can_not_lock_makes_no_copy_that_only_seems_to_be_safe()
    {
        using var work = await WorkAsync();
        work.Set("BACKUP_S3_OBJECT_LOCK", "governance").Set("BACKUP_REQUIRED_COPIES", "1");
        _s3.Denied = static r => r.Argument("retention") is not null;

        var result = await work.RunAsync("backup");

        result.Expect(10).Says("can't lock").Says("s3:PutObjectRetention");
        Assert.DoesNotContain(_s3.HeaderOfAll(Mode).Keys, static k => k.Contains("/sets/", StringComparison.Ordinal));
        (await work.RunAsync("backup", "verify", "--all", "--from", "local")).Expect(0);
    }

    [Fact]
    public async Task Expire_skips_what_is_locked_and_says_so_and_removes_the_rest()
    {
        using var work = await WorkAsync();
        work.Set("BACKUP_S3_RETENTION_STANDARD_DAYS", "40");
        await work.BackupAsync();
        var free = await OldAsync(work, 35);
        work.Set("BACKUP_S3_OBJECT_LOCK", "governance");
        var locked = await OldAsync(work, 31);
        work.Set("BACKUP_S3_RETENTION_STANDARD_DAYS", "20");

        var first = (await work.RunAsync("backup", "expire")).Expect(0).Output;

        Assert.Matches($"removed +{free} +s3 ", first);
        Assert.Matches($"kept +{locked} +s3 .*ended .*, but locked in store s3 until ", first);
        Assert.Equal(Of(locked, Mode).Count, Of(locked, Mode).Count(static o => o.Value == "GOVERNANCE"));
        Assert.Contains(Of(locked, Mode).Keys, static k => k.EndsWith("/manifest.json", StringComparison.Ordinal));
        Assert.Empty(Of(free, Mode));
        (await work.RunAsync("backup", "verify", locked, "--from", "s3")).Expect(0);
    }

    [Fact]
    public async Task Two_stores_keep_their_sets_for_different_times()
    {
        using var work = await WorkAsync();
        work.Set("BACKUP_RETENTION_STANDARD_DAYS", "7").Set("BACKUP_S3_RETENTION_STANDARD_DAYS", "90");
        await work.BackupAsync();
        var old = await OldAsync(work, 31);

        (await work.RunAsync("backup", "expire")).Expect(0);

        Assert.False(Directory.Exists(work.SetFolder(old)));
        var sets = Sets(await work.RunAsync("backup", "list", "--json"));
        var set = Assert.Single(sets, s => (string?)s!["id"] == old)!;
        Assert.Equal(["s3"], set["copies"]!.AsArray().Select(static c => (string?)c!["store"]));
        Assert.Equal(59, ((DateTimeOffset)set["expires"]! - SetEditor.Now).TotalDays, 0.1);
    }

    [Fact]
    public async Task Uploads_that_nobody_completed_are_removed_after_a_day_and_those_of_others_never()
    {
        using var work = await WorkAsync();
        await work.BackupAsync();
        _s3.LeaveUpload($"{_prefix}/sets/x/database.dump.zst", TimeSpan.FromHours(25));
        _s3.LeaveUpload($"{_prefix}/sets/y/database.dump.zst", TimeSpan.FromHours(23));
        _s3.LeaveUpload("another/sets/x/database.dump.zst", TimeSpan.FromHours(25));

        (await work.RunAsync("backup", "expire")).Expect(0);

        Assert.Equal(new HashSet<string> { $"{_prefix}/sets/y/database.dump.zst", "another/sets/x/database.dump.zst" }, _s3.Uploads().ToHashSet());
    }

    // What a locked set is worth without it.
    [Fact]
    public async Task The_log_that_a_locked_base_backup_needs_is_locked_with_it_and_no_other()
    {
        await using var archiving = new ArchivingCluster();
        await archiving.InitializeAsync();
        await archiving.StartArchivingAsync(
            [$"BACKUP_STATE_DIR=\"{archiving.Site}/state\"", "BACKUP_WAL_S3_ENABLED=true", "BACKUP_S3_OBJECT_LOCK=governance", .. Settings]);
        var before = await archiving.SwitchWalAsync();
        await archiving.ArchivedAsync(before);

        (await archiving.RunAsync("backup", "--kind", "physical", "--env-file", archiving.EnvFile)).Expect(0);

        var set = Sets(await archiving.RunAsync("backup", "list", "--json", "--env-file", archiving.EnvFile))[0]!;
        var (first, last) = ((string)set["physical"]!["firstSegment"]!, (string)set["physical"]!["lastSegment"]!);
        var segments = _s3.HeaderOfAll(Mode).Where(static o => o.Key.StartsWith("soundhash-wal/", StringComparison.Ordinal))
            .ToDictionary(static o => o.Key[(o.Key.LastIndexOf('/') + 1)..], static o => o.Value);
        Assert.Equal(("GOVERNANCE", "GOVERNANCE"), (segments[first], segments[$"{first}.sha256"]));
        Assert.Equal(("GOVERNANCE", "GOVERNANCE"), (segments[last], segments[$"{last}.sha256"]));
        Assert.Null(segments[before]);
        var end = ((DateTimeOffset)set["started"]!).AddDays(30);
        var until = _s3.HeaderOfAll(Until).Single(o => o.Key.EndsWith($"/{last}", StringComparison.Ordinal)).Value!;
        Assert.Equal(end, DateTimeOffset.Parse(until, CultureInfo.InvariantCulture), TimeSpan.FromSeconds(1));
    }

    private static JsonArray Sets(CommandResult list) => JsonNode.Parse(list.Expect(0).Output)!["sets"]!.AsArray();

    private string[] Settings =>
    [
        "BACKUP_S3_ENABLED=true", $"BACKUP_S3_BUCKET={ScriptedS3.Bucket}", $"BACKUP_S3_ENDPOINT={_s3.Server.Address}", "BACKUP_S3_REGION=us-east-1",
        $"AWS_ACCESS_KEY_ID={ScriptedS3.AccessKey}", "AWS_SECRET_ACCESS_KEY=secret",
    ];

    private Dictionary<string, string?> Of(string set, string header) => _s3.HeaderOfAll(header)
        .Where(o => o.Key.Contains($"/sets/{set}/", StringComparison.Ordinal)).ToDictionary();

    // A set that was made so many days ago, in both stores.
    private static async Task<string> OldAsync(Workspace work, int days)
    {
        work.Set("BACKUP_S3_ENABLED", "false");
        var id = await work.BackupAsync();
        new SetEditor(work.SetFolder(id)).Date(SetEditor.Now.AddDays(-days));
        work.Set("BACKUP_S3_ENABLED", "true");
        (await work.RunAsync("backup", "replicate", id, "--from", "local", "--to", "s3")).Expect(0);
        return id;
    }

    private async Task<Workspace> WorkAsync()
    {
        var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT generate_series(1, 50) AS n"));
        foreach (var line in Settings)
        {
            work.Set(line.Split('=', 2)[0], line.Split('=', 2)[1]);
        }

        return work.Set("BACKUP_S3_PREFIX", _prefix).Set("BACKUP_STATE_DIR", "./state");
    }
}
