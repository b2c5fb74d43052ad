using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Repository;

/// <summary>What list, show, keep and restore --list say.</summary>
public sealed class ListTests(PostgresCluster cluster, Samples samples)
{
    [Fact]
    public async Task A_set_is_listed_with_its_database_tier_size_and_state()
    {
        using var sample = await samples.SmallAsync(cluster, "age");

        var text = (await sample.Work.RunAsync("backup", "list")).Expect(0).Output;
        var set = (await sample.Work.JsonAsync(0, "backup", "list")).GetProperty("sets")[0];

        Assert.Contains(sample.Id, text, StringComparison.Ordinal);
        Assert.Contains("standard", text, StringComparison.Ordinal);
        Assert.EndsWith("ok", text.TrimEnd(), StringComparison.Ordinal);
        Assert.Equal(Samples.SmallDatabase, set.GetProperty("database").GetString());
        Assert.Equal("age", set.GetProperty("encryption").GetString());
        Assert.True(set.GetProperty("complete").GetBoolean());
        Assert.Equal(
            sample.Edit().Manifest["objects"]!.AsArray().Sum(static o => (long)o!["storedBytes"]!),
            set.GetProperty("storedBytes").GetInt64());
    }

    [Fact]
    public async Task An_empty_repository_is_no_error()
    {
        using var work = new Workspace(cluster, "postgres");

        var list = (await work.RunAsync("backup", "list")).Expect(0).Says($"there is no repository at {work.Repository} yet");
        Assert.Contains($"there are no sets in {work.Repository}, which does not exist", list.Output, StringComparison.Ordinal);
        (await work.RunAsync("restore", "--latest")).Expect(1).Says("there is no set of database \"postgres\"");
    }

    // A wrong "there are no sets" makes people give up a database that has a backup.
    [Theory]
    [InlineData("backups")]
    [InlineData("backups/sets")]
    [InlineData("backups/sets/ID")]
    public async Task A_repository_that_the_user_may_not_read_is_no_empty_one(string closed)
    {
        using var sample = await samples.SmallAsync(cluster);
        (await sample.Work.RunAsync("--version")).Expect(0);
        var program = Path.Combine(sample.Work.Folder, "program");
        await Command.ShellAsync(
            $"""
            cp -r '{Path.GetDirectoryName(Workspace.Executable)}' '{program}'
            chown -R 54321:54321 '{sample.Work.Folder}'
            chmod 000 '{closed.Replace("ID", sample.Id, StringComparison.Ordinal)}'
            """,
            directory: sample.Work.Folder);

        string[] verbs = ["backup list", "restore --list", "backup verify --all", "backup expire --dry-run", "restore --latest --plan"];
        foreach (var verb in verbs)
        {
            var result = await Command.RunAsync(
                "setpriv",
                ["--reuid=54321", "--regid=54321", "--clear-groups", "--", Path.Combine(program, "shbackup"), .. verb.Split(' ')],
                new Dictionary<string, string?>(
                    sample.Work.CleanEnvironment())
                { ["BACKUP_STATE_DIR"] = "./state", ["HOME"] = sample.Work.Folder },
                sample.Work.Folder);

            Assert.DoesNotContain("no sets", result.Output, StringComparison.Ordinal);
            result.Expect(6).Says("can't ").Says("denied").Says("hint: check the directory's owner");
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_set_with_a_missing_or_cut_object_is_shown_as_damaged(bool missing)
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        var path = edit[edit.Key("dump")];
        if (missing)
        {
            File.Delete(path);
        }
        else
        {
            SetEditor.Cut(path, 10);
        }

        Assert.Contains(
            $"DAMAGED: {edit.Key("dump")}",
            (await sample.Work.RunAsync("backup", "list")).Expect(8).Output,
            StringComparison.Ordinal);
        Assert.Contains("DAMAGED", (await sample.Work.RunAsync("restore", "--list")).Expect(8).Output, StringComparison.Ordinal);
        var shown = (await sample.Work.RunAsync("backup", "show", sample.Id)).Expect(8).Says($"set {sample.Id} is damaged").Says("hint: ");
        Assert.Contains("DAMAGED", shown.Output, StringComparison.Ordinal);
        var document = await sample.Work.JsonAsync(8, "backup", "show", sample.Id);
        Assert.Equal(edit.Key("dump"), Assert.Single(document.GetProperty("damagedObjects").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task Show_tells_the_expiry_that_list_tells_which_the_settings_of_the_day_decide_and_the_pin()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.Set("BACKUP_RETENTION_DAYS", "77");

        var listed = (await sample.Work.JsonAsync(0, "backup", "list")).GetProperty("sets")[0].GetProperty("expires").GetDateTimeOffset();
        var shown = await sample.Work.JsonAsync(0, "backup", "show", sample.Id);
        var text = (await sample.Work.RunAsync("backup", "show", sample.Id)).Expect(0).Output;
        (await sample.Work.RunAsync("backup", "keep", sample.Id)).Expect(0);
        var pinned = await sample.Work.JsonAsync(0, "backup", "show", sample.Id);

        Assert.Equal(listed, shown.GetProperty("expires").GetDateTimeOffset());
        Assert.Contains($"expires            {listed:yyyy-MM-dd HH:mm:ss}Z", text, StringComparison.Ordinal);
        Assert.Equal(sample.Id, shown.GetProperty("manifest").GetProperty("id").GetString());
        Assert.False(shown.GetProperty("pinned").GetBoolean());
        Assert.True(pinned.GetProperty("pinned").GetBoolean());
    }

    [Fact]
    public async Task A_store_whose_sets_are_all_broken_is_no_store_without_sets()
    {
        using var sample = await samples.SmallAsync(cluster);
        await File.WriteAllTextAsync(sample.Edit().ManifestPath, "{}", TestContext.Current.CancellationToken);

        foreach (var verb in (string[][])[["backup", "list"], ["restore", "--list"]])
        {
            var output = (await sample.Work.RunAsync(verb)).Expect(8).Output;

            Assert.DoesNotContain("there are no sets", output, StringComparison.Ordinal);
            Assert.Contains("can be used", output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_folder_without_a_manifest_is_no_set()
    {
        using var sample = await samples.SmallAsync(cluster);
        File.Delete(sample.Edit().ManifestPath);

        (await sample.Work.RunAsync("backup", "list")).Expect(8).Says($"set {sample.Id} has no manifest.json").Says("fetch its manifest.json from another copy");
        (await sample.Work.RunAsync("backup", "verify", "--all")).Expect(8).Says($"set {sample.Id} has no manifest.json");
        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(8).Says("the newest set can't be told");

        // With an intent it is what a run writes, or a killed one left.
        await File.WriteAllTextAsync(Path.Combine(sample.Work.SetFolder(sample.Id), "intent.json"), "{}", TestContext.Current.CancellationToken);
        (await sample.Work.RunAsync("backup", "list")).Expect(0).Says($"{sample.Id} is no set");
        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(1).Says("there is no set of database").Says($"in {sample.Work.Repository}");
    }

    [Fact]
    public async Task Show_prints_every_object_with_its_hash_and_finds_a_set_by_the_beginning_of_its_id()
    {
        using var sample = await samples.SplitAsync(cluster, "age");

        var text = (await sample.Work.RunAsync("backup", "show", sample.Id[..^3])).Expect(0).Output;

        foreach (var item in sample.Edit().Manifest["objects"]!.AsArray())
        {
            Assert.Contains((string)item!["key"]!, text, StringComparison.Ordinal);
            Assert.Contains((string)item["storedSha256"]!, text, StringComparison.Ordinal);
        }

        Assert.Contains("age1", text, StringComparison.Ordinal);
        (await sample.Work.RunAsync("backup", "show", "no_such_set")).Expect(1).Says("hint: shbackup backup list");
    }

    [Fact]
    public async Task The_beginning_of_several_ids_is_ambiguous()
    {
        using var sample = await samples.SmallAsync(cluster);
        CopySet(sample, $"{sample.Id}_2", SetEditor.Now);

        (await sample.Work.RunAsync(
            "restore",
            "--backup",
            sample.Id[..^1],
            "--target-db",
            RestoreHelp.NewName())).Expect(2).Says("give the whole id");
        (await sample.Work.RunAsync("backup", "show", sample.Id)).Expect(0);
    }

    // Guards against this: "weekly_…" was the latest for ever, since names were compared; so were file times.
    [Fact]
    public async Task Latest_goes_by_the_recorded_time_and_not_by_name_or_file_time()
    {
        using var sample = await samples.SmallAsync(cluster);
        var newest = sample.Edit().Manifest["started"]!.GetValue<DateTimeOffset>();
        CopySet(sample, "weekly_backup_20240101_000000", newest.AddDays(-200));
        CopySet(sample, "zzz_backup_20991231_000000", newest.AddDays(-1));
        await Command.ShellAsync($"find '{sample.Folder}' -exec touch -d '2001-02-03' {{}} +");

        var plan = await sample.Work.JsonAsync(0, "restore", "--latest", "--plan", "--target-db", RestoreHelp.NewName());
        var list = await sample.Work.JsonAsync(0, "backup", "list");

        Assert.Equal(sample.Id, plan.GetProperty("plans")[0].GetProperty("setId").GetString());
        Assert.Equal(
            [sample.Id, "zzz_backup_20991231_000000", "weekly_backup_20240101_000000"],
            list.GetProperty("sets").EnumerateArray().Select(static s => s.GetProperty("id").GetString()!));
    }

    [Fact]
    public async Task Latest_refuses_to_choose_among_clusters()
    {
        using var sample = await samples.SmallAsync(cluster);
        var other = CopySet(sample, "other_20260101_000000", SetEditor.Now);
        other.Manifest["systemIdentifier"] = "1234567890123456789";
        other.SaveManifest();

        (await sample.Work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            RestoreHelp.NewName())).Expect(2).Says("1234567890123456789").Says("--backup ID");
    }

    [Fact]
    public async Task Restore_list_shows_what_a_person_needs_to_decide()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Edit().Date(SetEditor.Now.AddDays(-3));

        var text = (await sample.Work.RunAsync("restore", "--list")).Expect(0).Output;
        var document = await sample.Work.JsonAsync(0, "restore", "--list");

        foreach (var column in new[] { "DATABASE", "AGE", "TIER", "STORED", "ON SERVER", "COPIES", "EXPECTED TIME", Samples.SmallDatabase, "standard", "local", "3 d", "free at the target: " })
        {
            Assert.Contains(column, text, StringComparison.Ordinal);
        }

        Assert.True(document.GetProperty("freeBytesAtTarget").GetInt64() > 0);
        Assert.True(document.GetProperty("sets")[0].GetProperty("expectedSeconds").GetDouble() > 0);
    }

    [Fact]
    public async Task Restore_list_works_while_the_server_is_down()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.Set("DATABASE_HOST", "/nowhere");

        var text = (await sample.Work.RunAsync("restore", "--list")).Expect(0).Output;

        Assert.Contains(sample.Id, text, StringComparison.Ordinal);
        Assert.Contains("free at the target: unknown", text, StringComparison.Ordinal);
    }

    internal static SetEditor CopySet(Sample sample, string id, DateTimeOffset started, string tier = "standard")
    {
        var folder = sample.Work.SetFolder(id);
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(sample.Folder))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        var edit = new SetEditor(folder);
        edit.Manifest["id"] = id;
        edit.Manifest["tier"] = tier;
        return edit.Date(started);
    }
}
