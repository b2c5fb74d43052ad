using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Repository;

/// <summary>expire removes what its tier no longer keeps, and never what might still be needed.</summary>
public sealed class ExpireTests(PostgresCluster cluster, Samples samples)
{
    [Theory]
    [InlineData("standard", 29, true)]
    [InlineData("standard", 31, false)]
    [InlineData("extended", 31, true)]
    [InlineData("extended", 89, true)]
    [InlineData("extended", 91, false)]
    [InlineData("archive", 91, true)]
    [InlineData("archive", 364, true)]
    [InlineData("archive", 366, false)]
    public async Task Each_tier_is_kept_for_its_own_time(string tier, int days, bool kept)
    {
        using var sample = await samples.SmallAsync(cluster);
        ListTests.CopySet(sample, "old_20260101_000000", SetEditor.Now.AddDays(-days), tier);

        (await sample.Work.RunAsync("backup", "expire")).Expect(0);

        Assert.Equal(kept, Directory.Exists(sample.Work.SetFolder("old_20260101_000000")));
        Assert.True(Directory.Exists(sample.Folder));
    }

    [Theory]
    [InlineData("BACKUP_RETENTION_DAYS", "standard")]
    [InlineData("BACKUP_RETENTION_STANDARD_DAYS", "standard")]
    [InlineData("BACKUP_RETENTION_EXTENDED_DAYS", "extended")]
    [InlineData("BACKUP_RETENTION_ARCHIVE_DAYS", "archive")]
    public async Task The_settings_of_the_day_decide(string setting, string tier)
    {
        using var sample = await samples.SmallAsync(cluster);
        ListTests.CopySet(sample, "old_20260101_000000", SetEditor.Now.AddDays(-6), tier);
        sample.Work.Set(setting, "7");
        (await sample.Work.RunAsync("backup", "expire")).Expect(0);
        Assert.True(Directory.Exists(sample.Work.SetFolder("old_20260101_000000")));

        sample.Work.Set(setting, "5");
        (await sample.Work.RunAsync("backup", "expire")).Expect(0);
        Assert.False(Directory.Exists(sample.Work.SetFolder("old_20260101_000000")));
    }

    // Guards against this: weekly and monthly backups died after 30 days like all others.
    [Theory]
    [InlineData("weekly_backup", "extended")]
    [InlineData("monthly", "archive")]
    [InlineData("nightly", "standard")]
    public async Task A_name_that_begins_with_weekly_or_monthly_has_its_tier(string name, string tier)
    {
        using var sample = await samples.SmallAsync(cluster);

        var id = await sample.Work.BackupAsync("--name", name);

        Assert.Equal(tier, (string?)new SetEditor(sample.Work.SetFolder(id)).Manifest["tier"]);
    }

    // The database is dropped by then: the set is its only copy.
    [Fact]
    public async Task A_set_is_not_removed_while_it_is_restored()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.WaitingFunction + RestoreGate.Tables);
        using var work = new Workspace(cluster, source);
        var old = await work.BackupAsync();
        await work.BackupAsync();
        new SetEditor(work.SetFolder(old)).Date(SetEditor.Now.AddDays(-60));
        var target = RestoreHelp.NewName();
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {target}");
        await cluster.ExecuteAsync(target, "CREATE TABLE precious AS SELECT 1 AS x");
        await gate.CloseAsync(cluster);
        using var restore = work.Start("restore", "--backup", old, "--target-db", target, "--clean", "--yes");
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));

        var text = (await work.RunAsync("backup", "expire")).Expect(0).Output;

        Assert.Contains("in use", text, StringComparison.Ordinal);
        await gate.OpenAsync(cluster);
        (await Command.FinishAsync(restore)).Expect(0);
        Assert.Equal("3", await cluster.TextAsync(target, "SELECT count(*) FROM z_gated"));
        (await work.RunAsync("backup", "expire")).Expect(0);
        Assert.False(Directory.Exists(work.SetFolder(old)));
    }

    [Theory]
    [InlineData]
    [InlineData("--dry-run")]
    public async Task A_place_that_is_not_there_is_an_error_of_clean_ups_which_make_nothing_there(params string[] option)
    {
        using var work = new Workspace(cluster, "postgres");

        (await work.RunAsync(["backup", "expire", .. option])).Expect(6).Says($"{work.Repository} does not exist").Says("is mounted").Says("BACKUP_DIR");
        (await work.RunAsync(["wal-archive", "cleanup", .. option])).Expect(6).Says($"{work.Repository} does not exist");
        Assert.False(Path.Exists(work.Repository));

        Directory.CreateDirectory(work.Repository);
        (await work.RunAsync(["backup", "expire", .. option])).Expect(0);
        (await work.RunAsync(["wal-archive", "cleanup", .. option])).Expect(6).Says($"{work.Repository}/wal does not exist").Says("BACKUP_WAL_DIR");
        Directory.CreateDirectory(Path.Combine(work.Repository, "wal"));
        (await work.RunAsync(["wal-archive", "cleanup", .. option])).Expect(0);
    }

    // Guards against this: clean-up deleted the last backup.
    [Fact]
    public async Task The_newest_set_of_a_database_never_expires()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Edit().Date(SetEditor.Now.AddDays(-900));
        ListTests.CopySet(sample, "older_20200101_000000", SetEditor.Now.AddDays(-901));

        var text = (await sample.Work.RunAsync("backup", "expire")).Expect(0).Output;

        Assert.Contains("the newest good set", text, StringComparison.Ordinal);
        Assert.True(Directory.Exists(sample.Folder));
        Assert.False(Directory.Exists(sample.Work.SetFolder("older_20200101_000000")));
    }

    [Fact]
    public async Task Each_database_keeps_its_own_newest_set()
    {
        using var sample = await samples.SmallAsync(cluster);
        var other = ListTests.CopySet(sample, "other_20200101_000000", SetEditor.Now.AddDays(-900));
        other.Manifest["database"] = "other";
        other.SaveManifest();

        (await sample.Work.RunAsync("backup", "expire")).Expect(0);

        Assert.True(Directory.Exists(other.Folder));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_damaged_newer_set_does_not_let_the_newest_good_one_expire(bool dryRun)
    {
        using var sample = await samples.SmallAsync(cluster);
        var good = ListTests.CopySet(sample, "good_20200101_000000", SetEditor.Now.AddDays(-900));
        File.Delete(sample.Edit()[sample.Edit().Key("dump")]);

        (await sample.Work.RunAsync(["backup", "expire", .. dryRun ? ["--dry-run"] : Array.Empty<string>()]))
            .Expect(8).Says($"set {sample.Id} is not good: object database.dump").Says($"hint: shbackup backup verify {sample.Id}");

        Assert.True(Directory.Exists(good.Folder));
    }

    // Sizes alone fit here: a bit that rotted in the newest set must not cost the last one that can be restored.
    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    public async Task A_newest_set_with_a_flipped_bit_does_not_let_the_newest_good_one_expire(string encryption)
    {
        using var sample = await samples.SmallAsync(cluster, encryption);
        var good = ListTests.CopySet(sample, "good_20200101_000000", SetEditor.Now.AddDays(-900));
        var older = ListTests.CopySet(sample, "older_20190101_000000", SetEditor.Now.AddDays(-901));
        SetEditor.FlipBit(sample.Edit()[sample.Edit().Key("dump")]);
        sample.Work.Unset("BACKUP_DECRYPTION_IDENTITY_FILE");

        var dry = await sample.Work.JsonAsync(8, "backup", "expire", "--dry-run");
        Assert.True(Directory.Exists(older.Folder));
        var document = await sample.Work.JsonAsync(8, "backup", "expire");

        Assert.Equal(8, document.GetProperty("exitCode").GetInt32());
        Assert.Equal(dry.GetProperty("sets").GetRawText(), document.GetProperty("sets").GetRawText());
        Assert.True(Directory.Exists(sample.Folder));
        Assert.True(Directory.Exists(good.Folder));
        Assert.False(Directory.Exists(older.Folder));
        (await sample.Work.RunAsync("backup", "verify", "good_2020")).Expect(0);
    }

    // A set that claims to come from the future must not let all real ones expire.
    [Fact]
    public async Task A_set_from_the_future_stops_expire_before_it_removes_anything()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Edit().Date(SetEditor.Now.AddDays(-900));
        var older = ListTests.CopySet(sample, "older_20190101_000000", SetEditor.Now.AddDays(-901));
        ListTests.CopySet(sample, "future_20990101_000000", SetEditor.Now.AddDays(400));

        (await sample.Work.RunAsync("backup", "expire"))
            .Expect(1).Says("set future_20990101_000000 started at").Says("nothing is removed").Says("hint: correct the clock");

        Assert.True(Directory.Exists(sample.Folder));
        Assert.True(Directory.Exists(older.Folder));
    }

    [Fact]
    public async Task A_pinned_set_never_expires_until_it_is_unpinned()
    {
        using var sample = await samples.SmallAsync(cluster);
        var old = ListTests.CopySet(sample, "old_20200101_000000", SetEditor.Now.AddDays(-900));
        var manifest = await File.ReadAllBytesAsync(old.ManifestPath, TestContext.Current.CancellationToken);

        (await sample.Work.RunAsync("backup", "keep", "old_2020")).Expect(0);
        (await sample.Work.RunAsync("backup", "keep", "old_2020")).Expect(0);
        Assert.Contains("pinned", (await sample.Work.RunAsync("backup", "expire")).Expect(0).Output, StringComparison.Ordinal);
        Assert.Equal(manifest, await File.ReadAllBytesAsync(old.ManifestPath, TestContext.Current.CancellationToken));
        Assert.Contains("pinned", (await sample.Work.RunAsync("backup", "list")).Expect(0).Output, StringComparison.Ordinal);

        (await sample.Work.RunAsync("backup", "unkeep", "old_2020")).Expect(0);
        (await sample.Work.RunAsync("backup", "expire")).Expect(0);
        Assert.False(Directory.Exists(old.Folder));
        (await sample.Work.RunAsync("backup", "keep", "old_2020")).Expect(1);
    }

    [Fact]
    public async Task A_dry_run_says_the_same_and_removes_nothing()
    {
        using var sample = await samples.SmallAsync(cluster);
        var old = ListTests.CopySet(sample, "old_20200101_000000", SetEditor.Now.AddDays(-900));
        var leftover = Leftover(sample, TimeSpan.FromDays(2));

        var dry = await sample.Work.JsonAsync(0, "backup", "expire", "--dry-run");

        Assert.True(Directory.Exists(old.Folder));
        Assert.True(Directory.Exists(leftover));
        var real = await sample.Work.JsonAsync(0, "backup", "expire");
        Assert.Equal(dry.GetProperty("sets").GetRawText(), real.GetProperty("sets").GetRawText());
        Assert.False(Directory.Exists(old.Folder));
        Assert.False(Directory.Exists(leftover));
    }

    [Fact]
    public async Task Leftovers_go_only_when_nothing_of_them_was_touched_for_a_day()
    {
        using var sample = await samples.SmallAsync(cluster);
        var old = Leftover(sample, TimeSpan.FromHours(25));
        var young = Leftover(sample, TimeSpan.FromHours(23));
        var refreshed = Leftover(sample, TimeSpan.FromDays(9));
        File.SetLastWriteTimeUtc(Path.Combine(refreshed, "intent.json"), SetEditor.Now.UtcDateTime.AddMinutes(-5));

        (await sample.Work.RunAsync("backup", "expire")).Expect(0);

        Assert.False(Directory.Exists(old));
        Assert.True(Directory.Exists(young));
        Assert.True(Directory.Exists(refreshed));
    }

    // Guards against this: age was the file's time, which a copy changes.
    [Fact]
    public async Task File_times_do_not_decide()
    {
        using var sample = await samples.SmallAsync(cluster);
        var copied = ListTests.CopySet(sample, "old_20200101_000000", SetEditor.Now.AddDays(-900));
        var young = ListTests.CopySet(sample, "young_20260101_000000", SetEditor.Now.AddDays(-2));
        await Command.ShellAsync($"find '{young.Folder}' -exec touch -d '2001-02-03' {{}} +");

        (await sample.Work.RunAsync("backup", "expire")).Expect(0);

        Assert.False(Directory.Exists(copied.Folder));
        Assert.True(Directory.Exists(young.Folder));
    }

    // Guards against this: --retention-days 0 was ignored without a word.
    [Theory]
    [InlineData("BACKUP_RETENTION_DAYS", "0")]
    [InlineData("BACKUP_RETENTION_STANDARD_DAYS", "-1")]
    [InlineData("BACKUP_RETENTION_EXTENDED_DAYS", "0")]
    [InlineData("BACKUP_RETENTION_ARCHIVE_DAYS", "a year")]
    public async Task A_retention_that_makes_no_sense_is_refused(string setting, string value)
    {
        using var sample = await samples.SmallAsync(cluster);
        var old = ListTests.CopySet(sample, "old_20200101_000000", SetEditor.Now.AddDays(-900));
        sample.Work.Set(setting, value);

        (await sample.Work.RunAsync("backup", "expire")).Expect(3).Says($"{setting}='{value}'");

        Assert.True(Directory.Exists(old.Folder));
    }

    private static string Leftover(Sample sample, TimeSpan age)
    {
        var folder = sample.Work.SetFolder($"unfinished_{Guid.NewGuid():n}");
        Directory.CreateDirectory(folder);
        foreach (var (name, text) in new[]
        {
            ("intent.json", """{"instance":"elsewhere","lock":"backup","host":"h","processId":1,"since":"2026-01-01T00:00:00Z"}"""),
            ("database.dump.zst", "half"),
        })
        {
            var path = Path.Combine(folder, name);
            File.WriteAllText(path, text);
            File.SetLastWriteTimeUtc(path, SetEditor.Now.UtcDateTime - age);
        }

        return folder;
    }
}
