using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>restore --file: a dump or script at any path, in any wrapping, whatever it is called.</summary>
public sealed class FileTests(PostgresCluster cluster, Samples samples)
{
    public static TheoryData<string, string> Forms => new()
    {
        { "x.dump", "cp $D $F" },
        { "x.dump.zst", "zstd -q $D -o $F" },
        { "x.dump.gz", "gzip -c $D > $F" },
        { "x.dump.age", "age -r $AGE -o $F $D" },
        { "x.dump.zst.age", "zstd -qc $D | age -r $AGE -o $F" },
        { "armoured.age", "age -a -r $AGE -o $F $D" },
        { "x.dump.gpg", "gpg -q --batch --trust-model always -r $GPG -o $F -e $D" },
        { "x.dump.zst.gpg", "zstd -qc $D | gpg -q --batch --trust-model always -r $GPG -o $F -e" },
        { "x.asc", "gpg -q --batch --armor --trust-model always -r $GPG -o $F -e $D" },
        { "x.tar", "$PGRESTORE_SOURCE/pg_dump -Ft -f $F" },
        { "x.dir", "$PGRESTORE_SOURCE/pg_dump -Fd -f $F" },
        { "x.sql", "$PGRESTORE_SOURCE/pg_dump -f $F" },
        { "inserts.sql", "$PGRESTORE_SOURCE/pg_dump --inserts -f $F" },
        { "x.sql.gz", "$PGRESTORE_SOURCE/pg_dump | gzip > $F" },
        { "x.sql.zst.age", "$PGRESTORE_SOURCE/pg_dump | zstd -qc | age -r $AGE -o $F" },
        { "archive called.sql", "cp $D $F" },
        { "script called.dump", "$PGRESTORE_SOURCE/pg_dump -f $F" },
        { "zstd called.gpg", "zstd -q $D -o $F" },
        { "no suffix", "age -r $AGE -o $F $D" },
    };

    [Theory]
    [MemberData(nameof(Forms))]
    public async Task Every_form_is_told_by_its_content_and_restored(string name, string make)
    {
        using var work = await WorkAsync();
        await MakeAsync(work, name, make);
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--file", name, "--target-db", target, "--jobs", "2")).Expect(0);

        Assert.Equal("5101", await cluster.TextAsync(
            target,
            "SELECT (SELECT count(*) FROM videos) + (SELECT count(*) FROM channels) + (SELECT count(*) FROM keyless)"));
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"));
    }

    [Theory]
    [InlineData("x.dump", "cp $D $F")]
    [InlineData("x.dump.zst.age", "zstd -qc $D | age -r $AGE -o $F")]
    [InlineData("x.dir", "$PGRESTORE_SOURCE/pg_dump -Fd -f $F")]
    [InlineData("x.tar", "$PGRESTORE_SOURCE/pg_dump -Ft -f $F")]
    [InlineData("x.sql", "$PGRESTORE_SOURCE/pg_dump -f $F")]
    public async Task An_existing_empty_database_is_filled_in_one_transaction(string name, string make)
    {
        using var work = await WorkAsync();
        await MakeAsync(work, name, make);
        var target = await cluster.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--file", name, "--target-db", target)).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    // Guards against this: the directory of a relative path was ignored, so that ./latest.dump was not found.
    [Fact]
    public async Task A_relative_path_starts_at_the_working_directory()
    {
        using var work = await WorkAsync();
        Directory.CreateDirectory(Path.Combine(work.Folder, "dir"));
        await MakeAsync(work, "dir/latest.dump", "cp $D $F");

        (await work.RunAsync("restore", "--file", "./dir/latest.dump", "--target-db", RestoreHelp.NewName())).Expect(0);
        (await work.RunAsync(
            "restore",
            "--file",
            "latest.dump",
            "--target-db",
            RestoreHelp.NewName())).Expect(6).Says(Path.Combine(work.Folder, "latest.dump"));
    }

    // Guards against this: what encryption left could not be restored. The set's own object, moved anywhere, can.
    [Fact]
    public async Task An_encrypted_object_of_a_set_restores_on_its_own()
    {
        using var sample = await samples.SmallAsync(cluster, "age");
        var file = Path.Combine(sample.Work.Folder, "moved");
        File.Move(sample.Edit()[sample.Edit().Key("dump")], file);
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--file", file, "--target-db", target)).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task A_file_into_a_database_with_objects_is_refused_and_clean_verifies_before_it_drops()
    {
        using var work = await WorkAsync();
        await MakeAsync(work, "x.dump.zst", "zstd -q $D -o $F");
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");
        (await work.RunAsync("restore", "--file", "x.dump.zst", "--target-db", target)).Expect(1).Says("nothing was changed");

        var whole = await File.ReadAllBytesAsync(Path.Combine(work.Folder, "x.dump.zst"), TestContext.Current.CancellationToken);
        SetEditor.Cut(Path.Combine(work.Folder, "x.dump.zst"), whole.Length - 100);
        (await work.RunAsync("restore", "--file", "x.dump.zst", "--target-db", target, "--clean", "--yes")).Expect(8);
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));

        await File.WriteAllBytesAsync(Path.Combine(work.Folder, "x.dump.zst"), whole, TestContext.Current.CancellationToken);
        (await work.RunAsync("restore", "--file", "x.dump.zst", "--target-db", target, "--clean", "--yes")).Expect(0);
        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Theory]
    [InlineData("empty", ": > $F", 8)]
    [InlineData("random.dump", "head -c 100000 /dev/zero | gzip -9n | tail -c +30 > $F", 8)]
    [InlineData("cut.dump", "head -c 40000 $D > $F", 5)]
    [InlineData("cut-header.dump", "head -c 20 $D > $F", 5)]
    [InlineData("cut.dump.zst", "zstd -qc $D | head -c 20000 > $F", 8)]
    [InlineData("cut.dump.gz", "gzip -c $D | head -c 20000 > $F", 8)]
    [InlineData("cut.age", "age -r $AGE $D | head -c 40000 > $F", 7)]
    [InlineData("cut-in-copy.sql", "$PGRESTORE_SOURCE/pg_dump | head -c 100000 > $F", 8)]
    [InlineData("cut-at-statement.sql", "$PGRESTORE_SOURCE/pg_dump | grep -v 'dump complete' > $F", 8)]
    [InlineData("cut-in-copy-of-no-dump.sql", "printf 'CREATE TABLE t (x int);\\nCOPY t FROM stdin;\\n1\\n2\\n' > $F", 5)]
    [InlineData("open-quote.sql", "printf \"CREATE TABLE t (x text);\\nINSERT INTO t VALUES ('a\" > $F", 5)]
    [InlineData("error-in-the-middle.sql", "printf 'CREATE TABLE t (x int);\\nSELECT 1/0;\\nCREATE TABLE u (x int);\\n' > $F", 5)]
    public async Task A_file_that_is_no_whole_dump_leaves_nothing(string name, string make, int exitCode)
    {
        using var work = await WorkAsync();
        await MakeAsync(work, name, make);
        var target = RestoreHelp.NewName();
        var empty = await cluster.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--file", name, "--target-db", target)).Expect(exitCode).Says("error: ");
        (await work.RunAsync("restore", "--file", name, "--target-db", empty)).Expect(exitCode).Says("error: ");

        await cluster.NothingIsLeftAsync(target);
        Assert.Equal("0", await cluster.TextAsync(empty, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"));
    }

    [Fact]
    public async Task A_dump_of_a_newer_format_says_what_it_needs()
    {
        using var work = await WorkAsync();
        await MakeAsync(work, "newer.dump", "cp $D $F; printf '\\143' | dd of=$F bs=1 seek=6 conv=notrunc status=none");
        var target = RestoreHelp.NewName();

        var refused = await work.RunAsync("restore", "--file", "newer.dump", "--target-db", target);

        // Before 17 it is the server that can't take it, whatever the programs.
        (PostgresPrograms.Major < 17 ? refused.Expect(1).Says("restore into a server of version") : refused.Expect(4)).Says("error: ");
        await cluster.NothingIsLeftAsync(target);
    }

    // Nothing tells beforehand that a file will load.
    [Theory]
    [InlineData("text.dump", "echo hello > $F")]
    [InlineData("end.sql", "{ $PGRESTORE_SOURCE/pg_restore -f - $D; echo 'SELECT 1 / 0;'; } > $F")]
    [InlineData("cut.dump", "head -c 20000 $D > $F")]
    [InlineData("cut.zst", "head -c 20000 $D | zstd -q > $F")]
    [InlineData("dir", "$PGRESTORE_SOURCE/pg_dump -Fd -f $F; rm $F/*.dat.gz")]
    public async Task Clean_drops_nothing_for_a_file_that_does_not_load(string name, string make)
    {
        var database = await cluster.CreateDatabaseAsync(Samples.SmallTables);
        using var work = new Workspace(cluster, database);
        work.Environment["PGDATABASE"] = database;
        await MakeAsync(work, name, make);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");

        var result = await work.RunAsync("restore", "--file", name, "--target-db", target, "--clean", "--yes");

        Assert.NotEqual(0, result.ExitCode);
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    // Such a script makes or enters databases by itself: it would fill the live one, whatever --target-db says.
    [Theory]
    [InlineData("create.sql", "$PGRESTORE_SOURCE/pg_dump --create > $F")]
    [InlineData("create-clean.sql", "$PGRESTORE_SOURCE/pg_dump --create --clean > $F")]
    [InlineData(
        "all.sql",
        "{ $PGRESTORE_SOURCE/pg_dumpall -l postgres --globals-only; printf '\\n\\\\connect template1\\nSELECT 1;\\n'; } > $F")]
    [InlineData("connect.sql", "printf 'CREATE TABLE t (x int);\\n\\\\connect $PGDATABASE\\nDROP TABLE keyless;\\n' > $F")]
    public async Task A_script_that_leaves_its_database_is_refused_before_it_does(string name, string make)
    {
        var database = await cluster.CreateDatabaseAsync(Samples.SmallTables, "live");
        using var work = new Workspace(cluster, database);
        work.Environment["PGDATABASE"] = database;
        await MakeAsync(work, name, make);
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--file", name, "--target-db", target)).Expect(2).Says("other databases").Says("hint:");

        await cluster.NothingIsLeftAsync(target);
        Assert.Equal("1", await cluster.TextAsync(database, "SELECT count(*) FROM keyless"));
    }

    // Such words in rows are rows.
    [Fact]
    public async Task Rows_that_read_like_statements_are_restored_as_rows()
    {
        var source = await cluster.CreateDatabaseAsync(
            """
            CREATE TABLE notes (note text);
            INSERT INTO notes VALUES ('CREATE DATABASE x'), ('\connect y'), (E'one\nDROP DATABASE x;'), ('\.'), (
                '-- PostgreSQL database dump complete');
            """);
        using var work = new Workspace(cluster, source);
        work.Environment["PGDATABASE"] = source;
        await MakeAsync(work, "x.sql", "$PGRESTORE_SOURCE/pg_dump > $F");
        await MakeAsync(work, "inserts.sql", "$PGRESTORE_SOURCE/pg_dump --inserts > $F");
        foreach (var file in new[] { "x.sql", "inserts.sql" })
        {
            var target = RestoreHelp.NewName();
            (await work.RunAsync("restore", "--file", file, "--target-db", target)).Expect(0);
            Assert.Equal("5", await cluster.TextAsync(target, "SELECT count(*) FROM notes"));
        }
    }

    [Theory]
    [InlineData("--schema-only")]
    [InlineData("--data-only")]
    [InlineData("--no-owner")]
    [InlineData("--table=x")]
    [InlineData("--globals")]
    public async Task A_wish_that_can_not_be_met_for_a_script_is_refused_and_not_ignored(string option)
    {
        using var work = await WorkAsync();
        await MakeAsync(work, "x.sql", "$PGRESTORE_SOURCE/pg_dump > $F");
        var target = await cluster.CreateDatabaseAsync("SELECT 1");

        (await work.RunAsync("restore", "--file", "x.sql", "--target-db", target, option)).Expect(2);

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"));
    }

    [Fact]
    public async Task Schema_only_holds_for_an_archive()
    {
        using var work = await WorkAsync();
        await MakeAsync(work, "x.dump.gz", "gzip -c $D > $F");
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--file", "x.dump.gz", "--target-db", target, "--schema-only")).Expect(0);

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task A_directory_that_is_no_archive_is_refused()
    {
        using var work = await WorkAsync();

        (await work.RunAsync("restore", "--file", ".", "--target-db", RestoreHelp.NewName())).Expect(2).Says("toc.dat");
    }

    [Fact]
    public async Task The_wrong_key_for_a_file_is_an_encryption_error()
    {
        using var work = await WorkAsync();
        await MakeAsync(work, "x.age", "age -r $(age-keygen 2>/dev/null | age-keygen -y) -o $F $D");
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--file", "x.age", "--target-db", target)).Expect(7).Says("x.age");

        await cluster.NothingIsLeftAsync(target);
    }

    private Task<Workspace> WorkAsync() => DumpFiles.WorkAsync(cluster, samples);

    private static Task<CommandResult> MakeAsync(Workspace work, string name, string make) => work.MakeDumpAsync(name, make);
}
