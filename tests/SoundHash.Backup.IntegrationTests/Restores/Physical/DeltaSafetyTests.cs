using System.Globalization;
using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>A restore in place trusts nothing that it finds, harms nothing outside, and can be stopped at any moment.</summary>
public sealed class DeltaSafetyTests(HistoryCluster cluster) : IClassFixture<HistoryCluster>
{
    private static readonly bool IsRoot = Environment.UserName == "root";

    [Fact]
    public async Task What_only_looks_like_a_file_or_directory_of_the_set_is_replaced()
    {
        await using var restored = await RestoredAsync();
        var outside = Path.Combine(restored.Folder, "outside");
        await Command.ShellAsync(
            $"""
            cd '{restored.Data}'; mkdir '{outside}'
            cp -p PG_VERSION '{outside}/version'; ln -sf '{outside}/version' PG_VERSION
            mv base/1 '{outside}/one'; ln -s '{outside}/one' base/1
            rm pg_hba.conf; mkdir -p pg_hba.conf/deep; touch pg_hba.conf/deep/file; chmod 500 pg_hba.conf/deep pg_hba.conf
            rm pg_ident.conf; mkfifo pg_ident.conf; mkfifo pg_wal/0000000100000000000000FF
            ln global/1262 '{outside}/linked'
            rm -r pg_multixact/members; touch pg_multixact/members
            chown -h --reference=. PG_VERSION base/1 pg_hba.conf pg_hba.conf/deep pg_ident.conf pg_multixact/members '{outside}'
            find '{outside}' -type f | sort | xargs sha256sum > '{restored.Folder}/before'
            """);

        // As PostgreSQL's user, who may not write everywhere without changing modes.
        (await cluster.RestoreAsync(restored, "--delta", "--yes")).Expect(0);

        await Command.ShellAsync($"find '{outside}' -type f | sort | xargs sha256sum | cmp - '{restored.Folder}/before'");
        Assert.Equal(string.Empty, (await Command.ShellAsync($"find '{restored.Data}' -type p -o -path '*/pg_tblspc/*' -prune -o -type l -print")).Output);
        Assert.Equal("1", (await Command.ShellAsync($"stat -c %h '{restored.Data}/global/1262'")).Output.Trim());
        await restored.VerifyAsync();
        await restored.StartAsync();
        await restored.PromotedAsync();
    }

    [Fact]
    public async Task Files_and_directories_that_stay_get_the_owner_and_mode_that_PostgreSQL_needs()
    {
        await using var restored = await RestoredAsync();
        await Command.ShellAsync(
            $"""
            cd '{restored.Data}'
            chmod 777 base base/1 global/1260; chmod 000 global/1262; chmod 500 pg_xact pg_multixact
            {(IsRoot ? "chown root: global/1261 base pg_tblspc/*/*/*/* && chown -R root: pg_wal" : string.Empty)}
            """);
        string[] arguments = ["restore", "--target-dir", restored.Data, "--tablespace", $"apart={restored.Folder}/space", "--env-file", cluster.EnvFile];

        (await Command.RunAsync(Workspace.Executable, [.. arguments, "--delta", "--yes"], null, cluster.Host)).Expect(0);

        var odd = await Command.ShellAsync(
            $"""
            find '{restored.Data}' '{restored.Folder}/space' ! -type l \( ! -user {(IsRoot ? "postgres" : "$USER")} -o -type f ! -perm 600 -o -type d ! -perm 700 \)
            """);
        Assert.Equal(string.Empty, odd.Output);
        await restored.VerifyAsync();
        await restored.StartAsync();
        await restored.PromotedAsync();
    }

    // Guards against this: after a failed sync the kernel still had the pages, so that the files were found right, and were not on the disk.
    [Fact]
    public async Task What_is_kept_was_read_from_the_disk()
    {
        await using var restored = await RestoredAsync();
        var trace = Path.Combine(restored.Folder, "trace");

        var result = (await RestoreTracedAsync(restored, trace, "fadvise64,fsync")).Expect(0);

        using var document = JsonDocument.Parse(result.Output);
        var kept = document.RootElement.GetProperty("restore").GetProperty("filesKept").GetInt32();
        Assert.True(kept > 500, result.Output);
        Assert.True(int.Parse((await Command.ShellAsync($"grep -c DONTNEED '{trace}'")).Output, CultureInfo.InvariantCulture) >= kept);
        Assert.True(int.Parse((await Command.ShellAsync($"grep -c fsync '{trace}'")).Output, CultureInfo.InvariantCulture) >= kept);
    }

    [Fact]
    public async Task A_disk_that_is_mounted_within_the_data_directory_is_synced_too()
    {
        await using var restored = await RestoredAsync();
        var trace = Path.Combine(restored.Folder, "trace");
        var folder = Path.Combine(restored.Data, "base");
        await Command.ShellAsync($"rm -r '{folder}'; mkdir '{folder}'");
        await using var disk = await SmallDisk.MountAsync(folder, "200m");

        (await RestoreTracedAsync(restored, trace, "syncfs")).Expect(0);

        Assert.Equal("2", (await Command.ShellAsync($"grep -c 'syncfs(.*= 0' '{trace}'")).Output.Trim());
    }

    [Fact]
    public async Task Killed_again_and_again_in_place_it_is_gone_on_with_and_its_tablespaces_too()
    {
        await using var restored = await RestoredAsync();
        await Command.ShellAsync($"cd '{restored.Data}'; for file in base/*/1* pg_tblspc/*/*/*/*; do printf x >> $file; done; mkdir '{restored.Folder}/wal'");
        await Command.ShellAsync($"mv '{restored.Data}/pg_wal' '{restored.Folder}/wal/own'; ln -s '{restored.Folder}/wal/own' '{restored.Data}/pg_wal'");
        await ArchivingCluster.GiveToPostgresAsync(restored.Folder);
        // Another place than the link has: the old one is left as it is.
        string[] arguments = ["restore", "--target-dir", restored.Data, "--tablespace", $"apart={restored.Folder}/moved", "--env-file", cluster.EnvFile, "--delta", "--yes"];
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        TestContext.Current.SendDiagnosticMessage($"seed {seed}");
        var killed = 0;
        for (var round = 0; round < 6; round++)
        {
            using var process = Command.Start("/usr/bin/env", ["BACKUP_RATE_LIMIT=8M", Workspace.Executable, .. arguments], null, cluster.Host);
            var mark = Path.Combine(restored.Data, "shbackup-restore.unfinished");
            var before = File.Exists(mark) ? File.GetLastWriteTimeUtc(mark) : default;
            await Eventually.TrueAsync(
                () => process.HasExited || (File.Exists(mark) && File.GetLastWriteTimeUtc(mark) != before && random.Next(20) == 0), "it is at work");
            killed += process.HasExited ? 0 : 1;
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.False(File.Exists(mark) && process.ExitCode == 0);
        }

        Assert.True(killed > 0, $"never killed at work, seed {seed}");
        (await Command.RunAsync(Workspace.Executable, arguments, null, cluster.Host)).Expect(0);

        Assert.Equal($"{restored.Folder}/wal/own", new FileInfo(Path.Combine(restored.Data, "pg_wal")).LinkTarget);
        Assert.NotEmpty(Directory.GetFileSystemEntries(Path.Combine(restored.Folder, "space")));
        Assert.Equal($"{restored.Folder}/moved", new FileInfo(Directory.GetFileSystemEntries(Path.Combine(restored.Data, "pg_tblspc")).Single()).LinkTarget);
        await restored.VerifyAsync();
        await restored.StartAsync();
        await restored.PromotedAsync();
        Assert.Equal("7", await restored.TextAsync("SELECT max(n)::text FROM marker"));
    }

    [Fact]
    public async Task A_copy_whose_links_lead_to_the_running_original_is_refused()
    {
        await using var copy = await RestoredServer.PlaceAsync();
        await Command.ShellAsync($"cp -a '{cluster.DataDirectory}' '{copy.Data}'; rm -f '{copy.Data}/postmaster.pid'");
        string[] arguments = ["restore", "--target-dir", copy.Data, "--env-file", cluster.EnvFile, "--delta", "--yes"];

        (await cluster.RunAsync(arguments)).Expect(1).Says($"{cluster.Space} of {copy.Data} is also in use by process").Says("--tablespace");
        await Command.ShellAsync($"rm -r '{copy.Data}/pg_wal'; ln -s '{cluster.DataDirectory}/pg_wal' '{copy.Data}/pg_wal'");
        (await cluster.RunAsync([.. arguments, "--tablespace", $"apart={copy.Folder}/space"])).Expect(1).Says($"{copy.Data}/pg_wal of");

        Assert.True(File.Exists(copy.ControlFile));
        Assert.Equal("7", await cluster.TextAsync("postgres", "SELECT max(n)::text FROM marker"));
    }

    [Fact]
    public async Task A_damaged_copy_of_saved_WAL_is_written_anew_and_nothing_of_it_is_lost()
    {
        await using var restored = await RestoredAsync();
        await restored.StartAsync();
        await restored.PromotedAsync();
        await restored.TextAsync("INSERT INTO marker VALUES (100)");
        await restored.StopAsync();
        using var site = new TempFolder("site");
        await Command.ShellAsync($"cp -a \"$SITE/backups\" '{site["backups"]}'", new Dictionary<string, string?> { ["SITE"] = cluster.Site });
        File.WriteAllLines(site[".env"], [$"BACKUP_DIR={site["backups"]}", $"BACKUP_WAL_DIR=\"{cluster.Archive}\"", $"BACKUP_SPOOL_DIR={site["spool"]}"]);
        SetEditor.FlipBit(Directory.GetFiles(Path.Combine(site["backups"], "sets", cluster.Set), "final*").Single());
        await ArchivingCluster.GiveToPostgresAsync(site.Path);
        (await cluster.RestoreAsync(site[".env"], restored, "--delta", "--yes", "--timeline", "1")).Expect(8).Says("no server starts from it");
        var saved = Directory.GetDirectories(restored.Folder, "data.saved-wal-*").Single();
        var copy = Directory.GetFiles(saved, "00000002*").Single(static f => Path.GetFileName(f).Length == 24);
        var right = await File.ReadAllBytesAsync(copy, TestContext.Current.CancellationToken);
        // The size is there, the content is not: what a crash leaves of a file that was not synced.
        await File.WriteAllBytesAsync(copy, new byte[right.Length], TestContext.Current.CancellationToken);

        var result = (await cluster.RestoreAsync(restored, "--delta", "--yes", "--timeline", "1", "--json")).Expect(0);

        using var document = JsonDocument.Parse(result.Output);
        Assert.Equal(saved, document.RootElement.GetProperty("restore").GetProperty("savedWal").GetString());
        Assert.Equal(right, await File.ReadAllBytesAsync(copy, TestContext.Current.CancellationToken));
        Assert.Equal(right.Length, new FileInfo($"{copy}.other-1").Length);
        Assert.DoesNotContain(Directory.GetFiles(saved), static f => Path.GetFileName(f).StartsWith('.'));
    }

    [Fact]
    public async Task A_server_that_can_t_be_seen_from_a_container_is_taken_for_one_at_work_and_one_that_was_killed_here_is_not()
    {
        await using var restored = await RestoredAsync();
        await restored.StartAsync();
        await restored.PromotedAsync();
        string[] arguments = [Workspace.Executable, "restore", "--timeline", "1", "--target-dir", restored.Data, "--tablespace", $"apart={restored.Folder}/space", "--env-file", cluster.EnvFile, "--delta", "--yes"];
        string[] container = ["--pid", "--fork", "--mount-proc", .. arguments];

        (await Command.RunAsync("/usr/bin/unshare", container, null, cluster.Host)).Expect(1)
            .Says("may be in use: postmaster.pid is there").Says($"remove {restored.Data}/postmaster.pid");
        Assert.True(File.Exists(restored.ControlFile));
        Assert.Equal("7", await restored.TextAsync("SELECT max(n)::text FROM marker"));

        var pid = File.ReadLines(Path.Combine(restored.Data, "postmaster.pid")).First();
        await Command.ShellAsync($"kill -9 {pid}");
        await Eventually.TrueAsync(
            async () => (await Command.RunAsync("/bin/sh", "-c", $"ls -l /proc/*/cwd 2>/dev/null | grep -q '{restored.Data}'")).ExitCode != 0, "its processes are gone");
        Assert.True(File.Exists(Path.Combine(restored.Data, "postmaster.pid")));
        var isFirst = new FileInfo("/proc/self/ns/pid").LinkTarget == "pid:[4026531836]";
        var again = await Command.RunAsync(arguments[0], arguments[1..], null, cluster.Host);
        if (!isFirst)
        {
            again.Expect(1).Says("may be in use");
            File.Delete(Path.Combine(restored.Data, "postmaster.pid"));
            again = await Command.RunAsync(arguments[0], arguments[1..], null, cluster.Host);
        }

        again.Expect(0);
        Assert.False(File.Exists(Path.Combine(restored.Data, "postmaster.pid")));
        await restored.VerifyAsync();
    }

    private async Task<RestoredServer> RestoredAsync()
    {
        var restored = await RestoredServer.PlaceAsync();
        (await cluster.RestoreAsync(restored, "--latest")).Expect(0);
        return restored;
    }

    private Task<CommandResult> RestoreTracedAsync(RestoredServer restored, string trace, string calls) => ArchivingCluster.ShellInAsync(
        cluster.Host,
        $"strace -f -qq -o '{trace}' -e trace={calls} '{Workspace.Executable}' restore --target-dir '{restored.Data}' "
        + $"--tablespace 'apart={restored.Folder}/space' --env-file \"{cluster.EnvFile}\" --delta --yes --json");
}
