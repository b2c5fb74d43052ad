using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Whose roles have names that no other test's globals should have.</summary>
public sealed class OddRolesCluster : PostgresCluster;

/// <summary>Onto which they are restored.</summary>
public sealed class EmptyCluster : PostgresCluster;

/// <summary>Roles and their names, which belong to no database and so to no encoding.</summary>
public sealed class GlobalsBackupTests(OddRolesCluster cluster, EmptyCluster target)
    : IClassFixture<OddRolesCluster>, IClassFixture<EmptyCluster>
{
    [Theory]
    [InlineData("LATIN1")]
    [InlineData("WIN1252")]
    [InlineData("SQL_ASCII")]
    [InlineData("UTF8")]
    public async Task Roles_keep_their_names_and_comments_whatever_encoding_the_database_has(string encoding)
    {
        var role = $"Jürgen 指紋 {encoding}";
        var quoted = PostgresCluster.Quote(role);
        var database = $"roles_{encoding.ToUpperInvariant()}";
        await cluster.ExecuteAsync(
            "postgres",
            $"""
            CREATE ROLE {quoted} LOGIN PASSWORD 'x'; COMMENT ON ROLE {quoted} IS 'Größe ☃';
            CREATE ROLE {PostgresCluster.Quote(role + " 2")};
            """);
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE \"{database}\" TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        await cluster.ExecuteAsync(
            "postgres",
            $"""
            ALTER DATABASE "{database}" OWNER TO {quoted};
            GRANT CREATE ON DATABASE "{database}" TO {PostgresCluster.Quote(role + " 2")};
            """);
        await cluster.ExecuteAsync("postgres", $"ALTER ROLE {quoted} IN DATABASE \"{database}\" SET work_mem = '5MB'");
        await cluster.ExecuteAsync(database, "CREATE TABLE owned AS SELECT 1 AS x");
        // By its number: a session of this database would take the name for another.
        await cluster.ExecuteAsync(
            database,
            """
            DO $$ BEGIN EXECUTE (
                SELECT format('ALTER TABLE owned OWNER TO %I', pg_get_userbyid(datdba))
                FROM pg_database WHERE datname = current_database());
            END $$
            """);
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync();

        var contents = await work.ContentsAsync(id);
        Assert.Equal(role, contents.GetProperty("database").GetProperty("owner").GetString());
        var globals = (await Command.ShellAsync($"zstd -dcq '{work.SetFolder(id)}/globals.sql.zst'")).Output;
        Assert.Contains($"CREATE ROLE {quoted};", globals, StringComparison.Ordinal);
        Assert.Contains($"COMMENT ON ROLE {quoted} IS 'Größe ☃';", globals, StringComparison.Ordinal);
        work.Set("DATABASE_HOST", target.Host);
        (await work.RunAsync("restore", "--backup", id, "--target-db", database, "--globals")).Expect(0);
        Assert.Equal(
            "Größe ☃",
            await target.TextAsync("postgres", $"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{role}'"));
        Assert.Equal(
            $"{role} {role}|work_mem=5MB|t",
            await target.TextAsync(
                "postgres",
                $"""
                SELECT format(
                    '%s %s|%s|%s', pg_get_userbyid(d.datdba), r.rolname, s.setconfig[1],
                    has_database_privilege('{role} 2', d.oid, 'CREATE'))
                FROM pg_database d JOIN pg_db_role_setting s ON s.setdatabase = d.oid JOIN pg_roles r ON r.oid = s.setrole
                WHERE d.datname = '{database}'
                """));
        const string SameOwner =
            "SELECT relowner = datdba FROM pg_class, pg_database WHERE relname = 'owned' AND datname = current_database()";
        Assert.Equal("t", await PsqlAsync(database, SameOwner));
    }

    [Fact]
    public async Task Text_that_was_written_through_a_database_in_another_encoding_is_kept_as_that_shows_it_and_this_is_said()
    {
        await using var separate = new OwnCluster();
        await separate.InitializeAsync();
        await separate.ExecuteAsync("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
        await separate.ExecuteAsync(
            "latin",
            """
            CREATE ROLE "Bär"; COMMENT ON ROLE "Bär" IS 'größer';
            CREATE TABLE t (id int); ALTER TABLE t OWNER TO "Bär"; COMMENT ON DATABASE latin IS 'Größe';
            """);
        await separate.ExecuteAsync("postgres", "CREATE DATABASE other");
        using var work = new Workspace(separate, "latin");

        (await work.RunAsync("backup")).Expect(0).Says("are not in UTF-8");

        var id = Assert.Single(await work.ListedAsync());
        var contents = await work.ContentsAsync(id);
        Assert.Equal("Größe", contents.GetProperty("database").GetProperty("comment").GetString());
        Assert.Contains("Bär", contents.GetProperty("roles").EnumerateArray().Select(static r => r.GetString()));
        var warning = Assert.Single(contents.GetProperty("warnings").EnumerateArray()).GetString();
        Assert.Contains("are not in UTF-8", warning, StringComparison.Ordinal);
        var globals = (await Command.ShellAsync($"zstd -dcq '{work.SetFolder(id)}/globals.sql.zst'")).Output;
        Assert.Contains("COMMENT ON ROLE \"Bär\" IS 'größer';", globals, StringComparison.Ordinal);

        // Through a database in UTF-8, pg_dumpall itself fails; with another before it, what is known is used.
        (await work.RunAsync("backup", "--database", "other")).Expect(5).Says("pg_dumpall").Says("hint: rename that role");
        (await work.RunAsync("backup", "--database", "latin", "--database", "other")).Expect(0);
    }

    [Fact]
    public async Task Globals_are_taken_once_for_a_run_and_may_be_large()
    {
        var first = await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)");
        var second = await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)");
        using var work = new Workspace(cluster, first);
        var calls = Path.Combine(work.Folder, "calls");
        // 20 MB of comments, as of very many roles.
        work.FakePrograms(
            "pg_dumpall", $"echo call >>'{calls}'; yes -- '-- a role with a long comment, one of so many' | head -n 450000; $REAL \"$@\"");

        (await work.RunAsync("backup", "--database", first, "--database", second)).Expect(0);

        Assert.Equal("call", Assert.Single(await File.ReadAllLinesAsync(calls, TestContext.Current.CancellationToken)));
        var listed = await work.ListedAsync();
        Assert.Equal(2, listed.Count);
        foreach (var id in listed)
        {
            await Command.ShellAsync($"test $(zstd -dcq '{work.SetFolder(id)}/globals.sql.zst' | wc -c) -gt 20000000");
        }
    }

    // Guards against this: the set named the role, and its globals did not have it, so that no empty server took it.
    [Fact]
    public async Task What_is_made_while_the_dump_runs_is_no_part_of_the_set_and_keeps_it_from_no_server()
    {
        var (database, role) = (await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS x"), RestoreHelp.NewName("late"));
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.BeforeDump);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);
        await cluster.ExecuteAsync(
            database, $"CREATE ROLE {role}; GRANT SELECT ON t TO {role}; CREATE SCHEMA late AUTHORIZATION {role}; CREATE EXTENSION hstore");
        gate.Open();
        (await Command.FinishAsync(backup)).Expect(0);

        var contents = await work.ContentsAsync(Assert.Single(await work.ListedAsync()));
        Assert.DoesNotContain(role, contents.GetProperty("roles").EnumerateArray().Select(static r => r.GetString()));
        Assert.Equal("plpgsql", Assert.Single(contents.GetProperty("extensions").EnumerateArray()).GetProperty("name").GetString());
        work.Set("DATABASE_HOST", target.Host);
        (await work.RunAsync("restore", "--latest", "--globals")).Expect(0);
        Assert.Equal("1", await target.TextAsync(database, "SELECT x FROM t"));
    }

    [Fact]
    public async Task A_role_that_is_made_between_the_databases_of_a_run_comes_back_with_the_later_one()
    {
        var (role, first) = (RestoreHelp.NewName("between"), await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)"));
        var later = await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS x");
        using var work = new Workspace(cluster, first);
        using var gate = new DumpGate(work, Moment.BeforeDump);
        using var backup = work.Start("backup", "--database", first, "--database", later);
        await gate.ReachedAsync(backup);
        await cluster.ExecuteAsync(later, $"CREATE ROLE {role} CONNECTION LIMIT 7; ALTER TABLE t OWNER TO {role}");
        gate.Open();
        (await Command.FinishAsync(backup)).Expect(0);

        work.Set("DATABASE_HOST", target.Host);
        (await work.RunAsync("restore", "--latest", "--database", later, "--globals")).Expect(0);

        Assert.Equal("7", await target.TextAsync(later, $"SELECT rolconnlimit FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE relname = 't' AND rolname = '{role}'"));
    }

    // As when it was dropped or renamed in between; a program without the role stands for that.
    [Fact]
    public async Task A_role_that_the_globals_lack_is_a_warning_that_is_kept_in_the_set()
    {
        var role = RestoreHelp.NewName("lost");
        var database = await cluster.CreateDatabaseAsync($"CREATE ROLE {role}; CREATE TABLE t (id int); ALTER TABLE t OWNER TO {role}");
        using var work = new Workspace(cluster, database);
        work.FakePrograms("pg_dumpall", $"$REAL \"$@\" | grep -v 'CREATE ROLE {role};'");

        (await work.RunAsync("backup")).Expect(0).Says($"\"{role}\", which the set names, is not in its globals");

        var contents = await work.ContentsAsync(Assert.Single(await work.ListedAsync()));
        Assert.Contains(role, Assert.Single(contents.GetProperty("warnings").EnumerateArray()).GetString(), StringComparison.Ordinal);
    }

    private async Task<string> PsqlAsync(string database, string sql) =>
        (await Command.RunAsync("psql", "-XAtq", "-h", target.Host, "-U", "postgres", "-d", database, "-c", sql)).Expect(0).Output.Trim();

    private sealed class OwnCluster : PostgresCluster;
}
