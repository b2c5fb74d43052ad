using System.Text;
using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.StorageContract.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.IntegrationTests.Storage;

/// <summary>A bucket that is not ours alone, or holds more than anybody would think of.</summary>
public sealed class CrowdedBucketTests(PostgresCluster cluster) : IAsyncDisposable
{
    private const int Many = 20_000;

    private readonly ScriptedS3 _s3 = new() { PageSize = 1000 };

    public ValueTask DisposeAsync() => _s3.DisposeAsync();

    [Fact]
    public async Task A_bucket_with_twenty_thousand_sets_is_listed_whole()
    {
        using var work = await WorkAsync();
        var id = await work.BackupAsync();
        var set = new SetEditor(work.SetFolder(id));
        var written = SetEditor.Now;
        var objects = set.Manifest["objects"]!.AsArray().Select(static o => (string)o!["key"]!).Select(key => (Key: key, Bytes: File.ReadAllBytes(set[key]))).ToList();
        var all = new List<(string, byte[], DateTimeOffset)>();
        for (var n = 0; n < Many; n++)
        {
            var name = $"nightly_20260101_{n:D6}";
            set.Manifest["id"] = name;
            set.Manifest["started"] = written.AddMinutes(-n - 1).UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", null);
            set.Manifest["stopped"] = (string?)set.Manifest["started"];
            all.Add(($"backups/sets/{name}/manifest.json", Encoding.UTF8.GetBytes(SetEditor.WithChecksum(set.Manifest)), written));
            all.AddRange(objects.Select(o => ($"backups/sets/{name}/{o.Key}", o.Bytes, written)));
        }

        _s3.Replace(all);

        var sets = JsonNode.Parse((await work.RunAsync("backup", "list", "--json", "--from", "s3")).Expect(0).Output)!["sets"]!.AsArray();

        Assert.Equal(Many, sets.Count);
        Assert.All(sets, static s => Assert.True((bool)s!["complete"]!));
        Assert.Equal("nightly_20260101_000000", (string?)sets[0]!["id"]);
    }

    [Fact]
    public async Task Two_clusters_in_one_prefix_are_refused_until_each_has_a_name()
    {
        using var work = await WorkAsync();
        work.Set("BACKUP_LOCAL_ENABLED", "false");
        const string Theirs = """{ "formatVersion": 1, "created": "2026-01-01T00:00:00Z", "systems": [ { "systemIdentifier": "7300000000000000001", "since": "2026-01-01T00:00:00Z" } ] }""";
        _s3.PutForeign("backups/repository.json", Theirs);

        (await work.RunAsync("backup")).Expect(3).Says("this repository holds backups of system identifier 7300000000000000001").Says("give each cluster its own BACKUP_CLUSTER");

        Assert.Equal(["backups/repository.json"], _s3.HeaderOfAll("x").Keys);
        work.Set("BACKUP_CLUSTER", "mine");
        (await work.RunAsync("backup")).Expect(0);
        (await work.RunAsync("backup", "verify", "--all")).Expect(0);
        Assert.All(_s3.HeaderOfAll("x").Keys.Where(static k => k != "backups/repository.json"), static k => Assert.StartsWith("backups/mine/", k, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_another_tool_wrote_into_our_prefix_stops_nothing_and_stays()
    {
        using var work = await WorkAsync();
        work.Set("BACKUP_LOCAL_ENABLED", "false");
        string[] foreign = ["backups/notes.txt", "backups/sets/README.txt", "backups/sets/théirs and ours/x.txt", "backups/sets/dump/deep/folder/file", "backups/"];
        foreach (var key in foreign)
        {
            _s3.PutForeign(key, "theirs");
        }

        var id = await work.BackupAsync();

        Assert.Contains(id, (await work.RunAsync("backup", "list")).Expect(0).Output, StringComparison.Ordinal);
        (await work.RunAsync("backup", "verify", "--all")).Expect(0);
        (await work.RunAsync("backup", "expire")).Expect(0);
        (await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
        Assert.Subset(_s3.HeaderOfAll("x").Keys.ToHashSet(), foreign.ToHashSet());
    }

    // As docs/stores.md has it for a database host that must not be able to remove what it has stored.
    [Fact]
    public async Task Keys_that_may_not_delete_make_good_backups_to_either_cloud_and_are_told_what_stays()
    {
        await using var gcs = new ScriptedGcs { NeedsToken = false };
        gcs.Denied["storage.objects.delete"] = true;
        _s3.Denied = static r => r.Method == "DELETE";
        using var work = await WorkAsync();
        work.Set("BACKUP_LOCAL_ENABLED", "false").Set("BACKUP_GCS_ENABLED", "true").Set("BACKUP_GCS_BUCKET", ScriptedGcs.Bucket)
            .Set("STORAGE_EMULATOR_HOST", gcs.Server.Address.ToString());

        var first = (await work.RunAsync("backup")).Expect(0);
        var second = (await work.RunAsync("backup", "--jobs", "2")).Expect(0);

        first.Says("can't delete").Says("in store s3").Says("in store gcs");
        Assert.DoesNotContain("FAILED", first.Output + second.Output, StringComparison.Ordinal);
        (await work.RunAsync("backup", "verify", "--all")).Expect(0);
        Assert.Equal(2, JsonNode.Parse((await work.RunAsync("backup", "list", "--json", "--from", "gcs")).Expect(0).Output)!["sets"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_store_that_can_not_be_read_fails_a_check_of_all_sets_and_the_others_are_read()
    {
        using var work = await WorkAsync();
        var id = await work.BackupAsync();
        await _s3.DisposeAsync();

        var result = await work.RunAsync("backup", "verify", "--all");

        result.Expect(6).Says("store s3 can't be read");
        Assert.Contains(id, result.Output, StringComparison.Ordinal);
    }

    private async Task<Workspace> WorkAsync()
    {
        var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT generate_series(1, 50) AS n"));
        return work.Set("BACKUP_S3_ENABLED", "true").Set("BACKUP_S3_BUCKET", ScriptedS3.Bucket).Set("BACKUP_S3_PREFIX", "backups/")
            .Set("BACKUP_S3_ENDPOINT", _s3.Server.Address.ToString()).Set("BACKUP_S3_REGION", "us-east-1")
            .Set("AWS_ACCESS_KEY_ID", ScriptedS3.AccessKey).Set("AWS_SECRET_ACCESS_KEY", "secret").Set("BACKUP_STATE_DIR", "./state");
    }
}
