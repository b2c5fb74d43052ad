using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>PostgreSQL hands over its WAL by the generated archive_command.</summary>
public sealed class PushTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    private const string SomeWal =
        "CREATE TABLE IF NOT EXISTS filler (t text); INSERT INTO filler SELECT repeat(md5(g::text), 30) FROM generate_series(1, 50000) g;";

    [Fact]
    public async Task Every_segment_is_archived_byte_for_byte()
    {
        await cluster.ExecuteAsync("postgres", SomeWal);
        await cluster.ExecuteAsync("postgres", SomeWal);
        var last = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(last);

        var archive = await cluster.ArchiveOfClusterAsync();
        var compared = await Command.ShellAsync(
            $$"""
            cd "$DATA/pg_wal"
            for f in $(ls | grep -E '^[0-9A-F]{24}$'); do
              [ "$f" \> "{{last}}" ] && break
              zstd -dcq "$ARCHIVE/00000001/$f" | cmp - "$f"
              (zstd -dcq "$ARCHIVE/00000001/$f" | sha256sum | cut -c1-64; echo "$f") | paste -sd' ' | sed 's/ /  /' | cmp - <(head -n 1 "$ARCHIVE/00000001/$f.sha256")
              tail -n +2 "$ARCHIVE/00000001/$f.sha256" | grep -qxE '# stored xxh128 [0-9a-f]{32}'
              echo "$f"
            done
            """,
            new Dictionary<string, string?> { ["DATA"] = cluster.DataDirectory, ["ARCHIVE"] = archive });
        var count = compared.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;
        Assert.True(count >= 8, $"{count} segments");
        Assert.Equal("0", await cluster.TextAsync("postgres", "SELECT failed_count::text FROM pg_stat_archiver"));
        // The server may have filled another segment meanwhile.
        await Eventually.TrueAsync(
            () => !Directory.GetFiles(archive, "*", SearchOption.AllDirectories).Any(static f => f.Contains(".writing-", StringComparison.Ordinal)),
            "no half segment stays");
    }

    [Fact]
    public async Task Nothing_of_ours_is_left_in_the_data_directory()
    {
        var before = Entries();
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());

        Assert.Equal(before, Entries());

        string[] Entries() => Directory.GetFileSystemEntries(cluster.DataDirectory).Order(StringComparer.Ordinal).ToArray();
    }

    [Fact]
    public async Task The_same_segment_again_is_a_success_and_other_content_under_its_name_is_never_taken()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        var stored = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", segment);
        var before = (File.ReadAllBytes(stored), File.GetLastWriteTimeUtc(stored));

        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", cluster.EnvFile)).Expect(0).Says("archived before");
        using var other = new TempFolder();
        var changed = File.ReadAllBytes(Path.Combine(cluster.DataDirectory, "pg_wal", segment));
        changed[^1] ^= 1;
        File.WriteAllBytes(other[segment], changed);
        await ArchivingCluster.GiveToPostgresAsync(other.Path);
        (await cluster.RunAsync("wal-archive", "push", other[segment], "--env-file", cluster.EnvFile))
            .Expect(8).Says(segment).Says("with other content").Says("nothing was touched");

        Assert.Equal(before.Item1, File.ReadAllBytes(stored));
        Assert.Equal(before.Item2, File.GetLastWriteTimeUtc(stored));
    }

    [Theory]
    [InlineData("../../x")]
    [InlineData("00000001000000000000000g")]
    [InlineData("000000010000000000000001\n")]
    [InlineData("000000010000000000000001.sha256")]
    [InlineData("x")]
    public async Task A_name_that_is_no_WAL_file_is_refused_before_it_becomes_a_path(string name)
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        var before = Directory.GetFileSystemEntries(cluster.Site, "*", SearchOption.AllDirectories);

        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", name, "--env-file", cluster.EnvFile)).Expect(2).Says("no name of a WAL file");

        Assert.Empty(Directory.GetFileSystemEntries(cluster.Site, "*", SearchOption.AllDirectories).Except(before));
        Assert.False(File.Exists(Path.Combine(cluster.Site, "x")));
    }

    [Fact]
    public async Task A_segment_under_the_name_of_another_is_refused()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);

        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "0000000100000000000000F0", "--env-file", cluster.EnvFile))
            .Expect(8).Says("which its name does not say");
        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", $"00000009{segment[8..]}", "--env-file", cluster.EnvFile))
            .Expect(8).Says("no ancestor");
    }

    [Theory]
    [InlineData("BACKUP_WAL_DIR")]
    [InlineData("BACKUP_SPOOL_DIR")]
    public async Task An_archive_or_spool_inside_the_data_directory_is_refused(string setting)
    {
        var segment = await cluster.SwitchWalAsync();
        using var env = new TempFolder();
        var lines = (File.ReadAllLines(cluster.EnvFile)).Where(l => !l.StartsWith(setting, StringComparison.Ordinal))
            .Append($"{setting}={cluster.DataDirectory}/backups/wal");
        File.WriteAllLines(env[".env"], lines);
        await ArchivingCluster.GiveToPostgresAsync(env.Path);

        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", env[".env"]))
            .Expect(3).Says($"{setting}=").Says("inside the data directory");

        Assert.False(Directory.Exists(Path.Combine(cluster.DataDirectory, "backups")));
    }

    [Fact]
    public async Task Settings_that_archiving_does_not_need_can_not_stop_it()
    {
        var segment = await cluster.SwitchWalAsync();
        using var env = new TempFolder();
        string[] wrong = ["DATABASE_PORT=many", "BACKUP_RETENTION_DAYS=x", "BACKUP_S3_ENABLED=perhaps", "DATABASE_URL=nonsense"];
        File.WriteAllLines(env[".env"], (File.ReadAllLines(cluster.EnvFile)).Concat(wrong));
        await ArchivingCluster.GiveToPostgresAsync(env.Path);

        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", env[".env"])).Expect(0);
    }

    [Fact]
    public async Task An_acknowledgement_that_is_older_than_the_segment_does_not_count()
    {
        var command = await cluster.TextAsync("postgres", "SHOW archive_command");
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        var spool = Directory.GetDirectories(cluster.Spool).Single();
        using var copy = new TempFolder();
        // The same command, with a program that only says that it was started.
        var started = copy["started"];
        var probe = command!.Replace("%f", segment, StringComparison.Ordinal).Replace("%p", $"pg_wal/{segment}", StringComparison.Ordinal)
            .Replace("%%", "%", StringComparison.Ordinal).Replace($"'{Workspace.Executable}'", $"touch '{started}' ;: ", StringComparison.Ordinal);

        await Command.ShellAsync($"touch -d '1 hour ago' '{spool.Replace("'", "'\\''", StringComparison.Ordinal)}/{segment}'");
        (await Command.RunAsync("/bin/sh", ["-c", probe], null, cluster.DataDirectory)).Expect(0);
        Assert.True(File.Exists(started), "an old acknowledgement was believed");

        File.Delete(started);
        await Command.ShellAsync($"touch -d '1 hour' '{spool.Replace("'", "'\\''", StringComparison.Ordinal)}/{segment}'");
        (await Command.RunAsync("/bin/sh", ["-c", probe], null, cluster.DataDirectory)).Expect(0);
        Assert.False(File.Exists(started), "a new acknowledgement was not believed");
    }

    [Fact]
    public async Task Switched_off_archiving_refuses_and_never_drops()
    {
        var segment = await cluster.SwitchWalAsync();
        using var env = new TempFolder();
        File.WriteAllLines(env[".env"], (File.ReadAllLines(cluster.EnvFile)).Append("BACKUP_WAL_ARCHIVING_ENABLED=false"));
        await ArchivingCluster.GiveToPostgresAsync(env.Path);

        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", env[".env"])).Expect(3).Says("BACKUP_WAL_ARCHIVING_ENABLED");
    }

    [Fact]
    public async Task Generated_configuration_says_what_is_set_already()
    {
        var shown = (await cluster.RunAsync("wal-archive", "generate-config", "--env-file", cluster.EnvFile)).Expect(0).Output;

        Assert.Contains("archive_mode = 'on'  # as it is", shown, StringComparison.Ordinal);
        Assert.Contains("archive_timeout = '300'  # as it is", shown, StringComparison.Ordinal);
        Assert.Contains("|| exit 1'  # as it is", shown, StringComparison.Ordinal);
        Assert.Contains("# restore_command = 'read -r b </proc/sys/kernel/random/boot_id; mv -f ", shown, StringComparison.Ordinal);
    }

    /// <summary>An unplugged disk is an empty directory: to begin a new archive there would lose what is archived until somebody looks.</summary>
    [Fact]
    public async Task An_archive_that_is_gone_is_an_error_and_not_a_new_archive()
    {
        await using var own = new ArchivingCluster();
        await own.InitializeAsync();
        await own.StartArchivingAsync();
        await own.ArchivedAsync(await own.SwitchWalAsync());

        Directory.Move(own.Archive, $"{own.Archive}.unplugged");
        var segment = await own.SwitchWalAsync();
        (await own.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", own.EnvFile)).Expect(6).Says("is gone").Says("mounted");
        Assert.False(Directory.Exists(own.Archive));

        Directory.Move($"{own.Archive}.unplugged", own.Archive);
        await own.ArchivedAsync(segment);
    }

    [Fact]
    public async Task Encrypted_WAL_has_no_plain_byte_in_archive_or_spool_and_old_and_new_forms_are_read_alike()
    {
        await using var own = new ArchivingCluster();
        await own.InitializeAsync();
        await own.StartArchivingAsync();
        var plain = await own.SwitchWalAsync();
        await own.ArchivedAsync(plain);
        var identity = Path.Combine(own.Site, "identity.txt");
        await Command.ShellAsync($"age-keygen -o \"{identity}\"");
        var recipient = (await Command.ShellAsync($"age-keygen -y \"{identity}\"")).Output.Trim();
        await own.StartArchivingAsync(
            "BACKUP_ENCRYPTION_ENABLED=true", "BACKUP_ENCRYPTION_METHOD=age", $"BACKUP_ENCRYPTION_KEY={recipient}", "BACKUP_COMPRESSION=gzip");

        await own.ExecuteAsync("postgres", "CREATE TABLE secret AS SELECT 'the plain words'::text FROM generate_series(1, 5000)");
        var sealedOne = await own.SwitchWalAsync();
        await own.ArchivedAsync(sealedOne);

        var files = Directory.GetFiles(own.Archive, "*", SearchOption.AllDirectories).Concat(Directory.GetFiles(own.Spool, "*", SearchOption.AllDirectories));
        Assert.DoesNotContain(files, static f => File.ReadAllText(f).Contains("the plain words", StringComparison.Ordinal));
        Assert.Contains("the plain words", File.ReadAllText(Path.Combine(own.DataDirectory, "pg_wal", sealedOne)), StringComparison.Ordinal);
        File.AppendAllLines(own.EnvFile, [$"BACKUP_DECRYPTION_IDENTITY_FILE=\"{identity}\""]);
        foreach (var segment in (string[])[plain, sealedOne])
        {
            (await own.RunAsync("wal-archive", "fetch", segment, $"{own.Site}/{segment}", "--env-file", own.EnvFile)).Expect(0);
            await Command.ShellAsync($"cmp \"{own.Site}/{segment}\" \"{own.DataDirectory}/pg_wal/{segment}\"");
        }
    }

    [Fact]
    public async Task A_push_after_one_that_left_only_a_sum_and_half_an_object_converges()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        var stored = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", segment);
        File.Delete(stored);
        var half = Path.Combine(Path.GetDirectoryName(stored)!, ".writing-half");
        File.WriteAllText(half, "half");

        (await cluster.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", cluster.EnvFile)).Expect(0);

        await Command.ShellAsync($"zstd -dcq \"{stored}\" | cmp - \"{cluster.DataDirectory}/pg_wal/{segment}\"");

        // Other tests of this cluster look for halves of their own.
        File.Delete(half);
    }

    [Fact]
    public async Task A_push_that_is_killed_at_any_moment_leaves_a_whole_segment_or_none_and_the_next_one_succeeds()
    {
        var seed = Random.Shared.Next();
        TestContext.Current.SendDiagnosticMessage("seed {0}", seed);
        var random = new Random(seed);
        await using var own = new ArchivingCluster();
        await own.InitializeAsync();
        await own.StartArchivingAsync();
        var segment = await own.SwitchWalAsync();
        await own.ArchivedAsync(segment);
        var stored = Path.Combine(await own.ArchiveOfClusterAsync(), "00000001", segment);
        for (var i = 0; i < 25; i++)
        {
            File.Delete(stored);
            File.Delete($"{stored}.sha256");
            var after = TimeSpan.FromMilliseconds(random.Next(1, 90));

            var killed = await own.RunAndKillAsync(after, "wal-archive", "push", $"pg_wal/{segment}", "--env-file", own.EnvFile);

            if (killed.ExitCode == 0 || File.Exists(stored))
            {
                Assert.True(File.Exists($"{stored}.sha256"), $"the sum stands before the segment does (seed {seed}, after {after})");
                await Command.ShellAsync($"zstd -dcq \"{stored}\" | cmp - \"{own.DataDirectory}/pg_wal/{segment}\"");
            }

            (await own.RunAsync("wal-archive", "push", $"pg_wal/{segment}", "--env-file", own.EnvFile)).Expect(0);
            await Command.ShellAsync($"zstd -dcq \"{stored}\" | cmp - \"{own.DataDirectory}/pg_wal/{segment}\"");
        }
    }
}
