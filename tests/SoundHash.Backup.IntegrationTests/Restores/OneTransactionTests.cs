using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Into an existing database all or nothing is restored, large objects included, which pg_restore commits one by one when left alone.</summary>
public sealed class OneTransactionTests(PostgresCluster cluster)
{
    private const string LargeObjects = "SELECT count(lo_from_bytea(0, decode(repeat('ab', 3000), 'hex'))) FROM generate_series(1, 50);";
    private const string BigTable = "CREATE TABLE big (id int) WITH (fillfactor = 10); INSERT INTO big SELECT generate_series(1, 240000);";

    [Theory]
    [InlineData("set")]
    [InlineData("split set")]
    [InlineData("bare.dump")]
    [InlineData("bare.tar")]
    public async Task A_late_failure_leaves_neither_tables_nor_large_objects(string what)
    {
        var gate = new RestoreGate();
        // Its key is checked when all rows and large objects are there.
        var source = await cluster.CreateDatabaseAsync(
            gate.FailingFunction + LargeObjects + "CREATE TABLE t AS SELECT 1 AS x; ALTER FUNCTION gate() IMMUTABLE; CREATE INDEX gated ON t ((public.gate()));"
            + (what == "split set" ? BigTable : string.Empty));
        using var work = new Workspace(cluster, source);
        string[] from = ["--latest"];
        if (what.StartsWith("bare", StringComparison.Ordinal))
        {
            await Command.ShellAsync(
                $"pg_dump -h {cluster.Host} -U postgres -F{(what == "bare.tar" ? "t" : "c")} -f '{work.Folder}/{what}' {source}");
            from = ["--file", what];
        }
        else
        {
            await work.BackupAsync("--jobs", "2");
        }

        var target = await cluster.CreateDatabaseAsync("SELECT 1");
        await gate.CloseAsync(cluster);

        (await work.RunAsync(["restore", .. from, "--target-db", target])).Expect(5).Says("the gate is closed");
        Assert.Equal("0 0", await cluster.TextAsync(target, Objects));

        await gate.OpenAsync(cluster);
        (await work.RunAsync(["restore", .. from, "--target-db", target])).Expect(0);
        Assert.Equal($"50 {(what == "split set" ? 2 : 1)}", await cluster.TextAsync(target, Objects));
        Assert.Equal("150000", await cluster.TextAsync(target, "SELECT sum(length(lo_get(oid))) FROM pg_largeobject_metadata"));
    }

    // Damage in the last bytes is known only when all statements before it have run.
    [Fact]
    public async Task Damage_at_the_very_end_leaves_nothing()
    {
        var source = await cluster.CreateDatabaseAsync(
            LargeObjects + "CREATE TABLE t AS SELECT md5(g::text) AS x FROM generate_series(1, 20000) g");
        using var work = new Workspace(cluster, source);
        var edit = new SetEditor(work.SetFolder(await work.BackupAsync()));
        edit.Object("dump")["plainXxHash128"] = new string('0', 32);
        edit.SaveManifest();
        var target = await cluster.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(8);

        Assert.Equal("0 0", await cluster.TextAsync(target, Objects));
    }

    // pg_restore leaves the script at the end of a tar archive unread; it is longer than any pipe.
    [Theory]
    [InlineData("long.tar", "")]
    [InlineData("long.tar.zst", "zstd -q --rm")]
    public async Task A_tar_archive_with_a_long_script_at_its_end_is_restored(string name, string pack)
    {
        var source = await cluster.CreateDatabaseAsync(
            "CREATE TABLE t AS SELECT 1 AS x; DO $$ BEGIN EXECUTE format('COMMENT ON TABLE t IS %L', repeat('long ', 800000)); END $$");
        using var work = new Workspace(cluster, source);
        await Command.ShellAsync($"pg_dump -h {cluster.Host} -U postgres -Ft -f '{work.Folder}/long.tar' {source}; {(pack.Length > 0 ? $"{pack} '{work.Folder}/long.tar'" : "true")}");
        var target = RestoreHelp.NewName();
        var empty = await cluster.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--file", name, "--target-db", target)).Expect(0);
        (await work.RunAsync("restore", "--file", name, "--target-db", empty)).Expect(0);

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT x FROM t"));
        Assert.Equal("4000000", await cluster.TextAsync(empty, "SELECT length(obj_description('t'::regclass))"));
    }

    private const string Objects = "SELECT (SELECT count(*) FROM pg_largeobject_metadata) || ' ' || (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)";

    /// <summary>Each large object of one transaction takes a lock: into a new database they come one by one.</summary>
    [Fact]
    public async Task More_large_objects_than_one_transaction_can_lock_fail_with_what_to_do_instead_and_a_new_database_takes_them()
    {
        await using var small = new ClusterOfFewLocks();
        await small.InitializeAsync();
        var source = await small.CreateDatabaseAsync("SELECT 1");
        for (var i = 0; i < 10; i++)
        {
            await small.ExecuteAsync(source, "SELECT count(lo_from_bytea(0, 'x')) FROM generate_series(1, 400)");
        }

        using var work = new Workspace(small, source);
        await work.BackupAsync();
        var target = await small.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--latest", "--target-db", target))
            .Expect(5).Says("max_locks_per_transaction").Says("hint: restore into a new database (--target-db)");

        Assert.Equal("0", await small.TextAsync(target, "SELECT count(*) FROM pg_largeobject_metadata"));
        (await work.RunAsync("restore", "--latest", "--target-db", "fresh")).Expect(0);
        Assert.Equal("4000", await small.TextAsync("fresh", "SELECT count(*) FROM pg_largeobject_metadata"));
    }

    private sealed class ClusterOfFewLocks : PostgresCluster
    {
        public override string Settings => "max_locks_per_transaction = 10\nmax_connections = 20";
    }
}
