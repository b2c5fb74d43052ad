using System.Diagnostics;
using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>Which files a set holds, in which volumes, and how many of these are at work at once.</summary>
public sealed class VolumesTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    private static readonly string[] EmptyDirectories =
        ["pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"];

    [Fact]
    public async Task Every_file_is_whole_in_one_volume_and_in_no_other_a_big_one_alone_and_small_ones_together()
    {
        // More than a volume closes after, and not less than two of them with the rest.
        var database = await cluster.CreateDatabaseAsync(
            "CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 7) AS filler FROM generate_series(1, 80000) g");
        var big = (await cluster.TextAsync(database, "SELECT pg_relation_filepath('big')"))!;
        using var work = cluster.Workspace();

        var id = await work.BackupPhysicalAsync("--jobs", "2");

        var edit = new SetEditor(work.SetFolder(id));
        var volumes = new Dictionary<string, IReadOnlyList<string>>();
        foreach (var item in edit.Manifest["objects"]!.AsArray().Where(static o => (string?)o!["role"] == "volume"))
        {
            var key = (string)item!["key"]!;
            var listing = (await Command.ShellAsync($"zstd -dc '{edit[key]}' | tar t")).Output;
            volumes[key] = listing.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }

        var contents = (await work.ContentsAsync(id))["files"]!.AsArray().Select(static f => ((string)f!["path"]!, (string)f["object"]!))
            .Where(static f => f.Item1 != "global/pg_control").Order().ToList();
        Assert.Equal(contents, volumes.SelectMany(static v => v.Value.Select(f => (f, v.Key))).Order());
        Assert.Equal([big], volumes.Single(v => v.Value.Contains(big)).Value);
        Assert.InRange(volumes.Count, 3, 6);
        Assert.Contains(volumes.Values, static v => v.Count > 200);
    }

    [Fact]
    public async Task As_many_volumes_as_jobs_are_read_and_written_side_by_side()
    {
        using var work = cluster.Workspace();
        var id = await work.BackupPhysicalAsync();
        await using var place = await RestoredServer.PlaceAsync();
        work.Set("BACKUP_RATE_LIMIT", "1M");

        await SideBySideAsync(work.Start(PhysicalProbe.Arguments), cluster.DataDirectory);
        await SideBySideAsync(work.Start("restore", "--target-dir", place.Data, "--jobs", "2"), Path.Combine(work.SetFolder(id), "volume-"));
    }

    /// <summary>PostgreSQL's own list of what is left out (src/backend/backup/basebackup.c) is the measure.</summary>
    [Fact]
    public async Task A_set_holds_exactly_the_files_that_PostgreSQL_s_own_base_backup_holds()
    {
        await using var own = new ScriptArchivingCluster();
        await own.InitializeAsync();
        var space = Path.Combine(own.Host, "space");
        await Command.ShellAsync($"mkdir '{space}'; chown --reference='{own.DataDirectory}' '{space}'");
        await own.ExecuteAsync("postgres", $"CREATE TABLESPACE apart LOCATION '{space}'");
        await own.ExecuteAsync("postgres", "CREATE TABLE far TABLESPACE apart AS SELECT 1 AS id; CHECKPOINT");
        var left = await LitterAsync(own.DataDirectory, space);
        using var work = own.Workspace();

        var before = await BaseBackupAsync(own);
        var id = await work.BackupPhysicalAsync();
        var after = await BaseBackupAsync(own);

        var files = await work.FilesAsync(id);
        // What comes or goes between them, an autovacuum's files say, may be in any of them.
        Assert.Equal([], before.Intersect(after).Except(files));
        Assert.Equal([], files.Except(before.Union(after)));
        Assert.Contains("backup_label.old", files);
        Assert.DoesNotContain(files, left.Contains);

        await ArchivingCluster.GiveToPostgresAsync(work.Folder);
        await using var place = await RestoredServer.PlaceAsync();
        (await work.RunAsync("restore", "--target-dir", place.Data, "--tablespace", $"apart={place.Folder}/space", "--env-file", $"{work.Folder}/.env")).Expect(0);
        foreach (var directory in EmptyDirectories)
        {
            Assert.Equal([], Directory.GetFileSystemEntries(Path.Combine(place.Data, directory)));
        }

        await place.StartAsync();
        await place.PromotedAsync();
        Assert.Equal("1", await place.TextAsync("SELECT id::text FROM far"));
    }

    // Files in every place that a base backup leaves out.
    private static async Task<IReadOnlyList<string>> LitterAsync(string data, string space)
    {
        var folder = Path.GetFileName(Directory.GetDirectories(space).Single());
        var oid = Path.GetFileName(Directory.GetFileSystemEntries(Path.Combine(data, "pg_tblspc")).Single());
        string[] left =
        [
            .. EmptyDirectories.Select(static d => $"{d}/left"), "pg_replslot/left_slot/state",
            "postmaster.opts", "postgresql.auto.conf.tmp", "current_logfiles.tmp", "tablespace_map", "backup_manifest",
            "base/pgsql_tmp/pgsql_tmp7.0", "base/pgsql_tmp7.0", "base/1/pgsql_tmp7.0", "base/1/pg_internal.init.7", "global/pg_internal.init.7",
            "base/1/t7_16384", "base/1/t7_16384_fsm.1", $"pg_tblspc/{oid}/{folder}/pgsql_tmp/pgsql_tmp7.1",
        ];
        foreach (var path in left.Append("backup_label.old").Select(l => Path.Combine(data, l)))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.AppendAllTextAsync(path, "left\n", TestContext.Current.CancellationToken);
        }

        await Command.ShellAsync($"chown -R --reference='{data}/PG_VERSION' '{data}' '{space}'");
        return left;
    }

    private static async Task<HashSet<string>> BaseBackupAsync(ScriptArchivingCluster cluster)
    {
        using var folder = new TempFolder("base");
        await Command.ShellAsync(
            $"{PostgresPrograms.Directory}/pg_basebackup -h '{cluster.Host}' -U postgres -X none -c fast -F tar -D '{folder["out"]}' 2>/dev/null");
        using var manifest = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(folder["out"], "backup_manifest")));
        // Those that it makes itself are in the last archive of a set, or in none.
        return manifest.RootElement.GetProperty("Files").EnumerateArray().Select(static f => f.GetProperty("Path").GetString()!)
            .Where(static p => p is not ("backup_label" or "tablespace_map")).ToHashSet();
    }

    // Of every volume that is at work one file is open.
    private static async Task SideBySideAsync(Process process, string begin)
    {
        using (process)
        {
            await Eventually.TrueAsync(
                () =>
                {
                    Assert.False(process.HasExited, $"it ended, and never had two files of {begin} open");
                    return PhysicalProbe.OpenFiles(process).Count(f => f.StartsWith(begin, StringComparison.Ordinal)) == 2;
                },
                $"two files of {begin} are open at once");
            process.Kill();
            await Command.FinishAsync(process);
        }
    }
}
