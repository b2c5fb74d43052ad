using System.Text.Json.Nodes;
using Npgsql;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>What belongs in a base backup, and what does not.</summary>
public sealed class PhysicalContentTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    [Fact]
    public async Task Unlogged_tables_come_back_empty_tablespaces_and_links_come_along_and_temporary_files_do_not()
    {
        var space = Path.Combine(cluster.Host, "space");
        await Command.ShellAsync(
            $"""
            mkdir -p '{space}' '{cluster.Host}/linked/deep'
            echo kept > '{cluster.Host}/linked/deep/note'
            ln -sfn '{cluster.Host}/linked' '{cluster.DataDirectory}/linked'
            ln -sfn ../../linked '{cluster.Host}/linked/deep/loop'
            ln -sfn /nowhere '{cluster.DataDirectory}/dangling'
            chown -R --reference='{cluster.DataDirectory}' '{space}' '{cluster.Host}/linked'
            """);
        await cluster.ExecuteAsync("postgres", $"CREATE TABLESPACE apart LOCATION '{space}'");
        var database = await cluster.CreateDatabaseAsync(
            """
            CREATE UNLOGGED TABLE forgotten (id int PRIMARY KEY);
            INSERT INTO forgotten SELECT generate_series(1, 10000);
            CREATE TABLE far (id int) TABLESPACE apart;
            INSERT INTO far SELECT generate_series(1, 20000);
            CREATE TABLE near (id int);
            INSERT INTO near VALUES (1), (2);
            """);
        await using var other = await cluster.OpenAsync(database);
        await using var temporary = new NpgsqlCommand("CREATE TEMP TABLE passing AS SELECT generate_series(1, 50000) AS id; CHECKPOINT", other);
        await temporary.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        var unlogged = (await cluster.TextAsync(database, "SELECT pg_relation_filepath('forgotten')"))!;
        var far = (await cluster.TextAsync(database, "SELECT pg_relation_filepath('far')"))!;
        await using var path = new NpgsqlCommand("SELECT pg_relation_filepath('passing')", other);
        var passing = (string)(await path.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
        using var work = cluster.Workspace();

        var id = await work.BackupPhysicalAsync();

        var files = await work.FilesAsync(id);
        Assert.Contains($"{unlogged}_init", files);
        Assert.DoesNotContain(unlogged, files);
        Assert.Contains(far, files);
        Assert.True(File.Exists(Path.Combine(cluster.DataDirectory, passing)), "the temporary table has a file");
        Assert.DoesNotContain(passing, files);
        Assert.Contains("linked/deep/note", files);
        Assert.Contains("global/pg_control", files);
        Assert.DoesNotContain(files, static f => f.StartsWith("pg_wal/", StringComparison.Ordinal) || f is "postmaster.pid" or "dangling"
            || f.Contains("loop", StringComparison.Ordinal) || f.Contains("pg_internal.init", StringComparison.Ordinal));
        var contents = await work.ContentsAsync(id);
        Assert.Contains("pg_wal/archive_status", contents["directories"]!.AsArray().Select(static d => (string)d!));
        var known = Assert.Single(contents["tablespaces"]!.AsArray())!;
        Assert.Equal(("apart", space), ((string?)known["name"], (string?)known["location"]));
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);

        await using var copy = await RestoredCopy.RestoreAsync(work, cluster, id);
        await copy.StartAsync();

        Assert.Equal("0", await copy.TextAsync(database, "SELECT count(*)::text FROM forgotten"));
        Assert.Equal("20000", await copy.TextAsync(database, "SELECT count(*)::text FROM far"));
        Assert.StartsWith(copy.Tablespaces, await copy.TextAsync(database, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'apart'"), StringComparison.Ordinal);
        Assert.Equal("kept\n", await File.ReadAllTextAsync(Path.Combine(copy.Data, "linked", "deep", "note"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_set_says_where_it_begins_and_ends_and_how_to_list_it()
    {
        using var work = cluster.Workspace().Set("BACKUP_CLUSTER", "main");
        await Command.ShellAsync($"mkdir -p '{cluster.WalArchive}' && ln -sfn . '{cluster.WalArchive}/main'");

        var id = await work.BackupPhysicalAsync();

        Assert.StartsWith("main_physical_", id, StringComparison.Ordinal);
        (await work.RunAsync("backup", "list")).Expect(0);
        var shown = await work.RunAsync("backup", "show", id);
        Assert.Contains("WAL needed", shown.Output, StringComparison.Ordinal);
        Assert.Contains("page checksums     all right", shown.Output, StringComparison.Ordinal);
        var set = (await work.JsonAsync(0, "backup", "list")).GetProperty("sets")[0].GetProperty("physical");
        Assert.Equal(1, set.GetProperty("timeline").GetInt32());
        Assert.Equal(0, set.GetProperty("damagedPages").GetInt32());
        Assert.True(set.GetProperty("files").GetInt32() > 900);
        // No database is in it: what restores databases does not see it.
        (await work.RunAsync("restore", "--latest", "--target-db", "never")).Expect(1).Says("there is no set of database");
        (await work.RunAsync("restore", "--latest", "--all-databases", "--plan")).Expect(1).Says("there are no sets");
    }

    [Fact]
    public async Task The_name_of_a_cluster_chooses_no_tier()
    {
        using var work = cluster.Workspace().Set("BACKUP_CLUSTER", "monthly");
        await Command.ShellAsync($"mkdir -p '{cluster.WalArchive}' && ln -sfn . '{cluster.WalArchive}/monthly'");

        var id = await work.BackupPhysicalAsync();

        Assert.StartsWith("monthly_physical_", id, StringComparison.Ordinal);
        Assert.Equal("standard", (await work.JsonAsync(0, "backup", "list")).GetProperty("sets")[0].GetProperty("tier").GetString());
    }

    [Fact]
    public async Task Verifying_deeply_names_the_file_that_is_not_what_the_contents_say()
    {
        using var work = cluster.Workspace();
        var id = await work.BackupPhysicalAsync();
        var edit = new SetEditor(work.SetFolder(id));
        await edit.ChangeContentsAsync(static c => c["files"]!.AsArray().Single(static f => (string?)f!["path"] == "PG_VERSION")!["xxHash128"] = new string('0', 32));
        (await work.RunAsync("backup", "verify", id)).Expect(0);
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(8).Says("PG_VERSION in volume-");

        await edit.ChangeContentsAsync(static c =>
        {
            var files = c["files"]!.AsArray();
            files.Remove(files.Single(static f => (string?)f!["path"] == "PG_VERSION"));
        });
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(8).Says("PG_VERSION in volume-").Says("not in the contents");

        var second = await work.BackupPhysicalAsync();
        await new SetEditor(work.SetFolder(second)).ChangeContentsAsync(static c => c["files"]!.AsArray().Add(
            JsonNode.Parse("""{"path":"base/1/999999","size":0,"modified":"2026-01-01T00:00:00Z","crc32C":"00000000","xxHash128":"0","object":"volume-0000.tar.zst"}""")));
        (await work.RunAsync("backup", "verify", second, "--deep")).Expect(8).Says("base/1/999999 is in the contents and in no archive");
    }

    [Fact]
    public async Task A_role_that_may_not_know_the_data_directory_gets_the_files_through_pg_basebackup()
    {
        // No tablespaces may be there: another test of this cluster makes one.
        await using var own = new ScriptArchivingCluster();
        await own.InitializeAsync();
        await own.ExecuteAsync("postgres", "CREATE ROLE streamer LOGIN; CREATE ROLE alone LOGIN; CREATE TABLE rows AS SELECT generate_series(1, 5000) AS id");
        using var work = own.Workspace().Set("DATABASE_USER", "streamer");
        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(3).Says("REPLICATION");
        await own.ExecuteAsync("postgres", "ALTER ROLE streamer REPLICATION");

        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(0).Says("configuration outside the data directory").Says("role \"streamer\" may not know of it");

        var id = (await work.JsonAsync(0, "backup", "list")).GetProperty("sets")[0].GetProperty("id").GetString()!;
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        await own.ExecuteAsync("postgres", "INSERT INTO rows VALUES (0)");
        await own.ArchiveAllAsync();
        await using var copy = await RestoredCopy.RestoreAsync(work, own, id);
        await copy.StartAsync();
        Assert.Equal("5001", await copy.TextAsync("postgres", "SELECT count(*)::text FROM rows"));

        var space = Path.Combine(own.Host, "space");
        await Command.ShellAsync($"mkdir '{space}'; chown --reference='{own.DataDirectory}' '{space}'");
        await own.ExecuteAsync("postgres", $"CREATE TABLESPACE apart LOCATION '{space}'");
        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(3).Says("tablespaces (apart)").Says("on the server's own machine");
    }
}
