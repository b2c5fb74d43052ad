using System.Formats.Tar;
using System.Globalization;
using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>What is written where, whose it is, and that nothing half or foreign is ever taken for a data directory.</summary>
public sealed class PhysicalRestoreTests(HistoryCluster cluster) : IClassFixture<HistoryCluster>
{
    [Fact]
    public async Task Old_recovery_settings_are_gone_and_the_new_ones_quoted()
    {
        await using var restored = await RestoredServer.PlaceAsync();

        (await cluster.RestoreAsync(restored, "--to-name", "after 3")).Expect(0).Says("restoring set");

        var lines = await File.ReadAllLinesAsync(Path.Combine(restored.Data, "postgresql.auto.conf"), TestContext.Current.CancellationToken);
        Assert.DoesNotContain(lines, static l => l.Contains("stale", StringComparison.Ordinal));
        Assert.Contains(lines, static l => l.StartsWith("archive_command = ", StringComparison.Ordinal));
        Assert.Contains("recovery_target_name = 'after 3'", lines);
        Assert.Contains("recovery_target_action = 'pause'", lines);
        Assert.Contains("recovery_target_timeline = '1'", lines);
        Assert.Contains("archive_mode = 'off'", lines);
        var command = Assert.Single(lines, static l => l.StartsWith("restore_command = ", StringComparison.Ordinal));
        // In quotes of the shell, of which each is doubled for PostgreSQL.
        Assert.Contains("""it''\\''''s 100%% here""", command, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(restored.Data, "recovery.signal")));
        Assert.False(File.Exists(Path.Combine(restored.Data, "tablespace_map")));
        Assert.Equal($"{restored.Folder}/space", new FileInfo(Directory.GetFileSystemEntries(Path.Combine(restored.Data, "pg_tblspc")).Single()).LinkTarget);
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.Combine(restored.Data, "base")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(restored.ControlFile));
    }

    [Fact]
    public async Task What_an_earlier_life_of_the_directory_left_in_the_spool_is_cleared()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        var hash = (await Command.ShellAsync($"printf %s '{restored.Data}' | sha256sum | cut -c1-12")).Output.Trim();
        var system = Path.GetFileName(Directory.GetDirectories(cluster.Archive).Single());
        var spool = Path.Combine(cluster.Spool, $"{system}-{hash}");
        Directory.CreateDirectory(Path.Combine(spool, "fetch"));
        File.WriteAllText(Path.Combine(spool, "000000010000000000000003"), string.Empty);
        File.WriteAllText(Path.Combine(spool, "fetch", "000000010000000000000003"), "of another life");
        await ArchivingCluster.GiveToPostgresAsync(spool);

        (await cluster.RestoreAsync(restored)).Expect(0);

        Assert.False(Directory.Exists(spool));
    }

    // Guards against this: the kernel wrote in vain, and the restore was a success.
    [Fact]
    public async Task A_disk_that_did_not_take_it_all_is_an_error_and_no_server_starts_from_what_is_there()
    {
        await using var restored = await RestoredServer.PlaceAsync();

        (await ArchivingCluster.ShellInAsync(
            cluster.DataDirectory,
            $"strace -f -qq -o /dev/null -e trace=syncfs -e inject=syncfs:error=EIO '{Workspace.Executable}' restore --target-dir '{restored.Data}' "
            + $"--tablespace 'apart={restored.Folder}/space' --env-file \"{cluster.EnvFile}\"")).Expect(6).Says("Input/output error").Says("--delta");

        Assert.False(File.Exists(restored.ControlFile));
        (await cluster.RestoreAsync(restored, "--delta", "--yes")).Expect(0);
        Assert.True(File.Exists(restored.ControlFile));
    }

    // As on FUSE, NFS and the like, which make nothing, or nothing that is known, of a sync of the whole.
    [Fact]
    public async Task Where_a_file_system_may_not_tell_what_failed_every_file_is_synced_by_itself()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        var trace = Path.Combine(restored.Folder, "trace");

        (await ArchivingCluster.ShellInAsync(
            cluster.DataDirectory,
            $"strace -f -qq -o '{trace}' -e trace=fstatfs,fsync -e inject=fstatfs:error=ENOSYS '{Workspace.Executable}' restore "
            + $"--target-dir '{restored.Data}' --tablespace 'apart={restored.Folder}/space' --env-file \"{cluster.EnvFile}\"")).Expect(0);

        var files = Directory.GetFiles(restored.Data, "*", SearchOption.AllDirectories).Length;
        Assert.True(files > 500);
        Assert.True(int.Parse((await Command.ShellAsync($"grep -c 'fsync.*= 0' '{trace}'")).Output, CultureInfo.InvariantCulture) >= files);
    }

    [Theory]
    [InlineData("cluster_physical_20200102_030405", 0, "is older than set")]
    [InlineData("cluster_physical_20990102_030405", 8, "newest set can't be told")]
    public async Task A_set_without_a_usable_manifest_stops_the_choice_only_where_it_may_be_newer(string id, int exitCode, string says)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        var folder = Directory.CreateDirectory(Path.Combine(cluster.Site, "backups", "sets", id));
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "manifest.json"), "{", TestContext.Current.CancellationToken);
            await ArchivingCluster.GiveToPostgresAsync(folder.FullName);

            (await cluster.RestoreAsync(restored)).Expect(exitCode).Says(id).Says(says);

            Assert.Equal(exitCode == 0, File.Exists(restored.ControlFile));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Archiving_stays_on_when_it_is_asked_for_and_a_standby_follows_its_primary()
    {
        await using var restored = await RestoredServer.PlaceAsync();

        (await cluster.RestoreAsync(restored, "--keep-archiving", "--standby", $"host={cluster.Host} user=postgres")).Expect(0);

        Assert.False(File.Exists(Path.Combine(restored.Data, "recovery.signal")));
        await restored.StartAsync();
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", "SELECT count(*)::text FROM pg_stat_replication WHERE state = 'streaming'") == "1",
            "the standby streams");
        Assert.Equal("true", await restored.TextAsync("SELECT pg_is_in_recovery()::text"));
        Assert.Equal("on", await restored.TextAsync("SHOW archive_mode"));
    }

    // Where the tests do not run as root, all is done by one user, who reads what it has read.
    [Fact]
    public async Task What_restore_command_could_not_read_as_the_servers_user_is_told_before_anything_is_written()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        using var site = new TempFolder("private");
        await Command.ShellAsync($"cp '{cluster.EnvFile.Replace("'", "'\\''", StringComparison.Ordinal)}' '{site[".env"]}' && chmod 755 '{site.Path}' && chmod 600 '{site[".env"]}'");
        string[] restore =
            ["restore", "--target-dir", restored.Data, "--tablespace", $"{cluster.Space}={restored.Folder}/space", "--env-file", site[".env"]];
        if (Environment.UserName == "root")
        {
            (await Command.RunAsync(Workspace.Executable, [.. restore, "--start"], null, "/"))
                .Expect(3).Says("could not fetch WAL").Says($"PostgreSQL's user postgres can't read the settings, {site[".env"]}").Says("chgrp postgres");
            Assert.False(Directory.Exists(restored.Data));
            (await Command.RunAsync(Workspace.Executable, [.. restore, "--plan"], null, "/")).Expect(0).Says("will not be able to fetch WAL");
        }

        await Command.ShellAsync($"chmod 644 '{site[".env"]}'");
        var readable = (await Command.RunAsync(Workspace.Executable, [.. restore, "--plan"], null, "/")).Expect(0);
        Assert.DoesNotContain("fetch WAL", readable.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("primary.example")]
    [InlineData("hots=primary.example")]
    [InlineData("host=primary.example port")]
    public async Task A_standbys_connection_that_no_server_could_read_is_refused_before_anything_is_written(string primary)
    {
        await using var restored = await RestoredServer.PlaceAsync();

        (await cluster.RestoreAsync(restored, "--standby", primary)).Expect(2).Says($"--standby '{primary}' is no connection string");

        Assert.False(Directory.Exists(restored.Data));
    }

    [Fact]
    public async Task Run_by_root_the_files_belong_to_whom_PostgreSQL_runs_as()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        string[] arguments = ["restore", "--target-dir", restored.Data, "--tablespace", $"{cluster.Space}={restored.Folder}/space", "--env-file", cluster.EnvFile];

        (await Command.RunAsync(Workspace.Executable, arguments, null, cluster.Host)).Expect(0);

        var owners = (await Command.ShellAsync($"find '{restored.Folder}' -mindepth 1 -printf '%u\\n' | sort -u")).Output.Trim();
        Assert.Equal(Environment.UserName == "root" ? "postgres" : Environment.UserName, owners);
        await restored.StartAsync();
        await restored.PromotedAsync();
    }

    [Fact]
    public async Task A_plan_shows_what_would_be_done_and_writes_nothing()
    {
        await using var restored = await RestoredServer.PlaceAsync();

        var plan = (await cluster.RestoreAsync(restored, "--to-time", cluster[6].Time, "--plan")).Expect(0).Output;

        Assert.Contains(cluster.Set, plan, StringComparison.Ordinal);
        Assert.Contains("which does not exist", plan, StringComparison.Ordinal);
        Assert.Contains($"put tablespace apart into {restored.Folder}/space", plan, StringComparison.Ordinal);
        Assert.Equal([], Directory.GetFileSystemEntries(restored.Folder));
    }

    [Fact]
    public async Task A_directory_in_use_or_with_something_in_it_is_refused_and_so_is_one_of_a_tablespace()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        string[] running = ["restore", "--target-dir", cluster.DataDirectory, "--env-file", cluster.EnvFile];
        (await cluster.RunAsync(running)).Expect(1).Says("is in use: process").Says("nothing was changed");

        // The tablespace's own place is the live one.
        string[] live = ["restore", "--target-dir", restored.Data, "--env-file", cluster.EnvFile];
        (await cluster.RunAsync(live)).Expect(1).Says($"{cluster.Space}, the directory of tablespace apart, is not empty").Says("--tablespace apart=NEW");

        Directory.CreateDirectory(restored.Data);
        File.WriteAllText(Path.Combine(restored.Data, "kept"), string.Empty);
        (await cluster.RestoreAsync(restored)).Expect(1).Says("is not empty; nothing was changed");

        string[] inside = ["restore", "--target-dir", Path.Combine(cluster.Site, "backups", "new"), "--env-file", cluster.EnvFile];
        (await cluster.RunAsync(inside)).Expect(2).Says("are inside one another");
        Assert.Equal(["kept"], Directory.GetFileSystemEntries(restored.Data).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_flipped_bit_is_found_and_leaves_no_pg_control()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        using var site = await CopySiteAsync();
        SetEditor.FlipBit(Directory.GetFiles(Path.Combine(site["backups"], "sets", cluster.Set), "volume-0000*").Single());

        (await cluster.RestoreAsync(site[".env"], restored)).Expect(8).Says("volume-0000").Says("no server starts from it");

        Assert.True(Directory.Exists(restored.Data));
        Assert.False(File.Exists(restored.ControlFile));
    }

    [Theory]
    [InlineData("../evil", TarEntryType.RegularFile)]
    [InlineData("/tmp/evil", TarEntryType.RegularFile)]
    [InlineData("base/not-in-the-contents", TarEntryType.RegularFile)]
    [InlineData("PG_VERSION", TarEntryType.SymbolicLink)]
    [InlineData("PG_VERSION", TarEntryType.HardLink)]
    [InlineData("PG_VERSION", TarEntryType.Directory)]
    [InlineData("PG_VERSION", TarEntryType.Fifo)]
    public async Task An_entry_that_is_not_in_the_contents_or_no_file_is_refused(string name, TarEntryType type)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        using var site = await CopySiteAsync();
        using var tar = new MemoryStream();
        await using (var writer = new TarWriter(tar, leaveOpen: true))
        {
            var entry = new PaxTarEntry(type, name);
            if (type is TarEntryType.SymbolicLink or TarEntryType.HardLink)
            {
                entry.LinkName = "/etc/passwd";
            }

            await writer.WriteEntryAsync(entry, TestContext.Current.CancellationToken);
        }

        await new SetEditor(Path.Combine(site["backups"], "sets", cluster.Set)).ReplaceAsync("volume", tar.ToArray());

        (await cluster.RestoreAsync(site[".env"], restored)).Expect(8).Says(name).Says("no server starts from it");

        Assert.False(File.Exists(restored.ControlFile));
        Assert.False(File.Exists(Path.Combine(restored.Folder, "evil")) || File.Exists("/tmp/evil"));
    }

    [Theory]
    [InlineData("directories", "\"../evil\"")]
    [InlineData("directories", "\"base/1/../../..\"")]
    [InlineData("directories", "\"/etc\"")]
    [InlineData("files", """{"path":"../evil","size":0,"modified":"2026-01-01T00:00:00Z","crc32C":"00000000","xxHash128":"0","object":"x"}""")]
    [InlineData("files", """{"path":"PG_VERSION/x","size":0,"modified":"2026-01-01T00:00:00Z","crc32C":"00000000","xxHash128":"0","object":"x"}""")]
    [InlineData("tablespaces", """{"oid":4711,"name":"evil","location":"../evil"}""")]
    [InlineData("outsideFiles", "\"/etc/../evil\"")]
    public async Task Contents_that_lead_out_of_the_directory_are_refused_before_anything_is_written(string list, string item)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        using var site = await CopySiteAsync();
        await new SetEditor(Path.Combine(site["backups"], "sets", cluster.Set))
            .ChangeContentsAsync(c => c[list]!.AsArray().Add(JsonNode.Parse(item)));

        (await cluster.RestoreAsync(site[".env"], restored)).Expect(8).Says("nothing was written");

        Assert.Equal([], Directory.GetFileSystemEntries(restored.Folder));
    }

    [Fact]
    public async Task A_killed_restore_leaves_no_pg_control_and_is_gone_on_with_or_begun_again_elsewhere()
    {
        await using var killed = await RestoredServer.PlaceAsync();
        string[] slowly = ["BACKUP_RATE_LIMIT=4M", Workspace.Executable, "restore", "--target-dir", killed.Data, "--tablespace", $"apart={killed.Folder}/space"];
        using var process = Command.Start("/usr/bin/env", [.. slowly, "--env-file", cluster.EnvFile], null, cluster.Host);
        await Eventually.TrueAsync(
            () => Directory.Exists(Path.Combine(killed.Data, "base", "1")) && Directory.GetFiles(Path.Combine(killed.Data, "base", "1")).Length > 3,
            "files are being written");
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        // As if the kill had come before root gave this one away.
        var ours = Directory.GetFiles(Path.Combine(killed.Data, "base", "1"))[0];
        await Command.ShellAsync($"chown root '{ours}'; chmod 600 '{ours}'");

        Assert.False(File.Exists(killed.ControlFile));
        (await cluster.RestoreAsync(killed)).Expect(1).Says("is not empty");
        await using var restored = await RestoredServer.PlaceAsync();
        (await cluster.RestoreAsync(restored)).Expect(0);
        await restored.VerifyAsync();
        (await cluster.RestoreAsync(killed, "--delta", "--yes")).Expect(0);
        await killed.VerifyAsync();
        await killed.StartAsync();
        await killed.PromotedAsync();
    }

    private async Task<TempFolder> CopySiteAsync()
    {
        var site = new TempFolder("site");
        await Command.ShellAsync(
            $"cp -a \"$SITE/backups\" '{site["backups"]}'", new Dictionary<string, string?> { ["SITE"] = cluster.Site });
        File.WriteAllLines(
            site[".env"],
            [$"BACKUP_DIR={site["backups"]}", $"BACKUP_WAL_DIR=\"{cluster.Archive}\"", $"BACKUP_SPOOL_DIR={site["spool"]}"]);
        await ArchivingCluster.GiveToPostgresAsync(site.Path);
        return site;
    }
}
