using System.Globalization;
using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Settings, hooks, names, output: what a run is told and what it tells.</summary>
public sealed class BackupRunTests(PostgresCluster cluster)
{
    private Task<string> SmallAsync() => cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT generate_series(1, 100) AS id");

    [Fact]
    public async Task BACKUP_RATE_LIMIT_is_never_exceeded()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        work.Set("BACKUP_RATE_LIMIT", "1M");

        var document = await work.JsonAsync(0, "backup");

        var id = document.GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!;
        using var manifest = JsonDocument.Parse(Command.ReadText(Path.Combine(work.SetFolder(id), "manifest.json")));
        var bytes = manifest.RootElement.GetProperty("objects").EnumerateArray()
            .Single(static o => o.GetProperty("key").GetString() == "database.dump.zst").GetProperty("plainBytes").GetInt64();
        Assert.True(bytes > 3_000_000, $"too little to measure: {bytes}");
        var seconds = document.GetProperty("seconds").GetDouble();
        Assert.True(seconds >= bytes / (1024.0 * 1024) * 0.9, $"{bytes} bytes in {seconds} s");
    }

    // Guards against this: its own lock could not be told from another's, and it tried again for ever.
    [Fact]
    public async Task It_runs_where_proc_is_not_mounted()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        await work.BackupAsync();

        await Command.ShellAsync(
            """unshare --mount sh -c 'mount -t tmpfs none /proc && exec timeout 60 "$SHBACKUP" backup' """,
            new Dictionary<string, string?>(work.CleanEnvironment()) { ["SHBACKUP"] = Workspace.Executable },
            work.Folder);

        Assert.Equal(2, Directory.GetDirectories(Path.Combine(work.Repository, "sets")).Length);
    }

    [Fact]
    public async Task Hooks_learn_what_happens_and_what_became_of_it()
    {
        var database = await SmallAsync();
        using var work = new Workspace(cluster, database);
        work.Set(
            "BACKUP_HOOK_PRE_BACKUP",
            "'env | grep ^SHBACKUP_ | sort > pre'").Set("BACKUP_HOOK_POST_BACKUP", "'env | grep ^SHBACKUP_ | sort > post'");

        await work.BackupAsync();

        string[] Lines(string name) => Command.ReadText(Path.Combine(work.Folder, name)).Trim().Split('\n');
        Assert.Contains($"SHBACKUP_DATABASES={database}", Lines("pre"));
        Assert.Contains("SHBACKUP_VERB=backup", Lines("pre"));
        Assert.DoesNotContain(Lines("pre"), static l => l.StartsWith("SHBACKUP_EXIT_CODE", StringComparison.Ordinal));
        Assert.Equal(
            [.. Lines("pre"), "SHBACKUP_EXIT_CODE=0"],
            Lines("post").OrderBy(static l => l.StartsWith("SHBACKUP_EXIT", StringComparison.Ordinal)));

        (await work.RunAsync("backup", "--database", "no such")).Expect(5);
        Assert.Contains("SHBACKUP_EXIT_CODE=5", Lines("post"));
    }

    [Fact]
    public async Task A_pre_hook_that_fails_stops_the_backup_before_anything_is_written()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        work.Set("BACKUP_HOOK_PRE_BACKUP", "'echo not today >&2; exit 3'");

        (await work.RunAsync("backup")).Expect(5).Says("BACKUP_HOOK_PRE_BACKUP failed").Says("not today");

        Assert.False(Directory.Exists(work.Repository));
    }

    [Fact]
    public async Task A_post_hook_that_fails_is_a_failure_of_a_run_whose_set_is_kept_and_reported_once()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        work.Set("BACKUP_HOOK_POST_BACKUP", "'exit 3'");

        var document = await work.JsonAsync(5, "backup");

        Assert.Equal(5, document.GetProperty("exitCode").GetInt32());
        Assert.Equal([document.GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!], await work.ListedAsync());
    }

    [Fact]
    public async Task The_post_hook_of_a_cancelled_backup_learns_130()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        work.Set("BACKUP_HOOK_POST_BACKUP", "'echo $SHBACKUP_EXIT_CODE > post'");
        using var gate = new DumpGate(work, Moment.BeforeDump);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);

        (await backup.EndAsync("TERM")).Expect(130);

        Assert.Equal("130", Command.ReadText(Path.Combine(work.Folder, "post")).Trim());
    }

    // Guards against this: log lines shared stdout with JSON.
    [Fact]
    public async Task With_json_stdout_is_one_document_and_everything_else_is_on_stderr()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        foreach (var (code, arguments) in new (int, string[])[]
        {
            (0, ["backup", "--log-level", "debug"]),
            (0, ["backup", "list", "--log-level", "debug"]),
            (0, ["backup", "--dry-run"]),
            (5, ["backup", "--database", "no such"]),
            (2, ["backup", "--name", "a/b"]),
        })
        {
            var result = (await work.RunAsync([.. arguments, "--json"])).Expect(code);
            // JsonDocument takes exactly one document.
            using var document = JsonDocument.Parse(result.Output);
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
        }

        var text = (await work.RunAsync("backup")).Expect(0);
        Assert.DoesNotContain("warning", text.Output, StringComparison.Ordinal);
        Assert.Contains("warning: the backup is not encrypted", text.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_shows_what_would_be_done_and_writes_nothing()
    {
        var database = await SmallAsync();
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();
        work.Set("BACKUP_HOOK_PRE_BACKUP", "'touch hook-ran'");
        (await work.RunAsync("--version")).Expect(0);
        var before = Directory.EnumerateFileSystemEntries(work.Folder, "*", SearchOption.AllDirectories).Order().ToList();

        var result = (await work.RunAsync("backup", "--dry-run")).Expect(0);

        Assert.Contains(database, result.Output, StringComparison.Ordinal);
        Assert.Contains(work.Repository, result.Output, StringComparison.Ordinal);
        Assert.Equal(before, Directory.EnumerateFileSystemEntries(work.Folder, "*", SearchOption.AllDirectories).Order());
    }

    [Fact]
    public async Task A_dry_run_fails_where_the_backup_would_fail_before_its_first_row()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        (await work.RunAsync("backup", "--dry-run", "--database", "no such")).Expect(5).Says("no such");
        (await work.RunAsync("backup", "--dry-run", "--kind", "physical")).Expect(3).Says("does not archive its WAL");
        work.Set("BACKUP_ENCRYPTION_ENABLED", "true");
        work.Set("BACKUP_ENCRYPTION_METHOD", "gpg");
        work.Set("BACKUP_ENCRYPTION_KEY", "nobody@example.org");
        (await work.RunAsync("backup", "--dry-run")).Expect(7).Says("nobody@example.org");
        Assert.False(Directory.Exists(work.Repository));
    }

    // Guards against this: the file name decided which backup is the newest.
    [Fact]
    public async Task The_newest_set_is_the_one_that_started_last_whatever_its_name_or_file_time()
    {
        var database = await SmallAsync();
        using var work = new Workspace(cluster, database);
        var weekly = await work.BackupAsync("--name", "weekly_backup");
        var daily = await work.BackupAsync("--name", "daily_backup");
        foreach (var file in Directory.EnumerateFiles(work.SetFolder(daily)))
        {
            File.SetLastWriteTimeUtc(file, new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        }

        Assert.Equal([daily, weekly], await work.ListedAsync());
        var plan = await work.JsonAsync(0, "restore", "--latest", "--target-db", "somewhere", "--plan");
        Assert.Contains(daily, plan.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(weekly, plan.ToString(), StringComparison.Ordinal);
    }

    // Guards against this: "verification" was a size above 0.
    [Fact]
    public async Task One_flipped_bit_anywhere_in_a_set_is_found_without_a_key()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        await work.UseAgeAsync();
        var id = await work.BackupAsync();
        work.Unset("BACKUP_DECRYPTION_IDENTITY_FILE");
        (await work.RunAsync("backup", "verify", id)).Expect(0);

        foreach (var file in Directory.EnumerateFiles(work.SetFolder(id)))
        {
            var bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
            bytes[bytes.Length / 2] ^= 1;
            await File.WriteAllBytesAsync(file, bytes, TestContext.Current.CancellationToken);
            (await work.RunAsync("backup", "verify", id)).Expect(8).Says(Path.GetFileNameWithoutExtension(file));
            bytes[bytes.Length / 2] ^= 1;
            await File.WriteAllBytesAsync(file, bytes, TestContext.Current.CancellationToken);
        }

        (await work.RunAsync("backup", "verify", id)).Expect(0);
    }

    // Guards against this: clean-up removed the last backup there was, by one age for all tiers.
    [Fact]
    public async Task Expiry_goes_by_recorded_time_and_tier_and_never_takes_the_newest_set()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        await work.UseAgeAsync();
        var old = await AgedAsync(work, "nightly", 40);
        var weekly = await AgedAsync(work, "weekly_backup", 39);
        var newest = await AgedAsync(work, "nightly", 38);

        (await work.RunAsync("backup", "expire", "--dry-run")).Expect(0);
        Assert.Equal([newest, weekly, old], await work.ListedAsync());
        (await work.RunAsync("backup", "expire")).Expect(0);

        Assert.Equal([newest, weekly], await work.ListedAsync());
        Assert.False(Directory.Exists(work.SetFolder(old)));
        work.Set("BACKUP_RETENTION_DAYS", "0");
        (await work.RunAsync("backup", "expire")).Expect(3).Says("BACKUP_RETENTION_DAYS='0'");
    }

    // Guards against this: a cloud store that was turned on and not used still made exit code 0.
    [Theory]
    [InlineData("BACKUP_S3_ENABLED")]
    [InlineData("BACKUP_GCS_ENABLED")]
    public async Task A_store_that_is_turned_on_and_can_not_be_used_is_never_left_out_in_silence(string setting)
    {
        using var work = new Workspace(cluster, await SmallAsync());
        work.Set(setting, "true");

        (await work.RunAsync("backup")).Expect(3).Says(setting);

        Assert.False(Directory.Exists(work.Repository));
    }

    [Fact]
    public async Task A_clock_that_went_backwards_stops_the_backup_and_removes_nothing()
    {
        using var work = new Workspace(cluster, await SmallAsync());
        var id = await AgedAsync(work, "nightly", -2);

        (await work.RunAsync("backup")).Expect(1).Says("a clock went backwards").Says(id);

        Assert.Equal([id], await work.ListedAsync());
        (await work.RunAsync("backup", "verify", id)).Expect(0);
    }

    [Theory]
    [InlineData("none", "", "cat")]
    [InlineData("gzip", ".gz", "gzip -dc")]
    [InlineData("zstd", ".zst", "zstd -dcq")]
    public async Task BACKUP_COMPRESSION_chooses_a_form_that_the_usual_tool_reads(string method, string suffix, string tool)
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        work.Set("BACKUP_COMPRESSION", method).Set("BACKUP_COMPRESSION_LEVEL", "1");

        var id = await work.BackupAsync();

        var rows = await Command.ShellAsync(
            $"{tool} < '{work.SetFolder(id)}/database.dump{suffix}' | pg_restore --data-only --table=filler --file=- | grep -c '^[0-9]'");
        Assert.Equal("5000", rows.Output.Trim());
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
    }

    [Fact]
    public async Task An_env_file_may_have_quotes_comments_CRLF_and_foreign_names_and_a_typing_error_stops_the_backup()
    {
        var database = await SmallAsync();
        using var work = new Workspace(cluster, database);
        var file = Path.Combine(work.Folder, "settings with spaces.env");
        await File.WriteAllTextAsync(
            file,
            $"# comment\r\nexport DATABASE_HOST=\"{cluster.Host}\"\r\nDATABASE_USER='postgres' # why\r\n\r\nDATABASE_NAME={database}\r\nBACKUP_DIR='./my backups # 1'\r\nSPOTIFY_TOKEN=x\r\nBACKUP_SOMETHING_ELSE=1\r\n",
            TestContext.Current.CancellationToken);
        work.Environment["HOME"] = null;
        // From another folder: paths are relative to the file.
        var result = await Command.RunAsync(Workspace.Executable, ["backup", "--env-file", file], work.CleanEnvironment(), "/");

        result.Expect(0).Says("unknown setting BACKUP_SOMETHING_ELSE is ignored");
        Assert.True(Directory.Exists(Path.Combine(work.Folder, "my backups # 1", "sets")));

        await File.AppendAllTextAsync(file, "BACKUP_ENCRYPTION_ENABELD=true\r\n", TestContext.Current.CancellationToken);
        (await Command.RunAsync(Workspace.Executable, ["backup", "--env-file", file], work.CleanEnvironment(), "/"))
            .Expect(3).Says("BACKUP_ENCRYPTION_ENABELD is unknown; did you mean BACKUP_ENCRYPTION_ENABLED?");
        (await Command.RunAsync(
            Workspace.Executable,
            ["backup", "--env-file", "/nonexistent"],
            work.CleanEnvironment(),
            "/")).Expect(3).Says("/nonexistent");
    }

    [Fact]
    public async Task All_wrong_settings_are_named_at_once()
    {
        using var work = new Workspace(cluster, "postgres");
        work.Set("BACKUP_COMPRESSION", "rar").Set("BACKUP_JOBS", "many").Set("BACKUP_RATE_LIMIT", "fast").Set(
            "BACKUP_ENCRYPTION_ENABLED",
            "perhaps");

        (await work.RunAsync("backup")).Expect(3)
            .Says("BACKUP_COMPRESSION='rar'").Says("BACKUP_JOBS='many'").Says("BACKUP_RATE_LIMIT='fast'").Says(
                "BACKUP_ENCRYPTION_ENABLED='perhaps'");

        Assert.False(Directory.Exists(work.Repository));
    }

    /// <summary>Makes a set and rewrites its recorded times, as if it had been made some days ago.</summary>
    private static async Task<string> AgedAsync(Workspace work, string name, int days)
    {
        var id = await work.BackupAsync("--name", name);
        var editor = new SetEditor(work.SetFolder(id));
        foreach (var field in new[] { "started", "stopped" })
        {
            var time = editor.Manifest[field]!.GetValue<DateTimeOffset>().AddDays(-days);
            editor.Manifest[field] = time.ToString("O", CultureInfo.InvariantCulture);
        }

        editor.SaveManifest();
        return id;
    }
}
