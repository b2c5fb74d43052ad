using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>
/// Onto a server that does not have the roles. Guards against this: they were not backed up, and a restore on a new server
/// ended in errors of ownership.
/// </summary>
public sealed class GlobalsTests(PostgresCluster cluster, SecondCluster second) : IClassFixture<SecondCluster>
{
    [Fact]
    public async Task Missing_roles_are_an_error_before_anything_is_made()
    {
        using var work = await WorkAsync();
        var target = RestoreHelp.NewName();

        (await work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            target)).Expect(1).Says("does not have the roles").Says("--globals").Says("--no-owner");

        await second.NothingIsLeftAsync(target);
    }

    [Fact]
    public async Task A_plan_names_missing_roles_and_ends_as_the_restore_would_unless_globals_make_them()
    {
        using var work = await WorkAsync();
        string[] plan = ["restore", "--latest", "--target-db", RestoreHelp.NewName(), "--plan"];

        var refused = (await work.RunAsync(plan)).Expect(1).Says("does not have the roles").Says(work.Environment["OWNER"]!).Says("--globals");
        Assert.Contains("  1. refuse: the server does not have the roles", refused.Output, StringComparison.Ordinal);
        Assert.Single((await work.JsonAsync(1, plan)).GetProperty("plans")[0].GetProperty("problems").EnumerateArray());
        (await work.RunAsync([.. plan, "--globals"])).Expect(0);
        (await work.RunAsync([.. plan, "--no-owner", "--no-privileges"])).Expect(0);
    }

    [Fact]
    public async Task Globals_make_the_roles_with_their_passwords_and_leave_those_that_exist()
    {
        using var work = await WorkAsync();
        var (owner, reader) = (work.Environment["OWNER"]!, work.Environment["READER"]!);
        await second.ExecuteAsync(
            "postgres",
            $"CREATE ROLE \"{reader}\" LOGIN PASSWORD 'its own' CONNECTION LIMIT 7; COMMENT ON ROLE \"{reader}\" IS 'mine'");
        var password = await second.TextAsync("postgres", $"SELECT rolpassword FROM pg_authid WHERE rolname = '{reader}'");
        var superuser = await second.TextAsync(
            "postgres",
            "SELECT rolpassword IS NULL AND rolsuper FROM pg_authid WHERE rolname = 'postgres'");
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--globals")).Expect(0);

        Assert.Equal(
            await cluster.TextAsync("postgres", $"SELECT rolpassword FROM pg_authid WHERE rolname = '{owner}'"),
            await second.TextAsync("postgres", $"SELECT rolpassword FROM pg_authid WHERE rolname = '{owner}'"));
        Assert.Equal($"{password} 7 mine", await second.TextAsync(
            "postgres", $"SELECT format('%s %s %s', rolpassword, rolconnlimit, shobj_description(oid, 'pg_authid')) FROM pg_authid WHERE rolname = '{reader}'"));
        Assert.Equal(
            superuser,
            await second.TextAsync("postgres", "SELECT rolpassword IS NULL AND rolsuper FROM pg_authid WHERE rolname = 'postgres'"));
        Assert.Equal(owner, await second.TextAsync(target, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'owned'"));
        Assert.Equal(
            owner,
            await second.TextAsync("postgres", $"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{target}'"));
        Assert.Equal("True", await second.TextAsync(target, $"SELECT has_table_privilege('{reader}', 'owned', 'SELECT')"));
        Assert.Equal("5MB", await second.TextAsync("postgres", $"SELECT split_part(s.setconfig[1], '=', 2) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase WHERE r.rolname = '{reader}' AND d.datname = '{target}'"));
    }

    // Guards against this: globals were filtered line by line, so that a line of a literal was taken for a statement.
    [Fact]
    public async Task What_a_role_writes_into_its_settings_or_comments_is_never_run_and_comes_back_whole()
    {
        var (mallory, carol) = (RestoreHelp.NewName("mallory"), RestoreHelp.NewName("carol"));
        var comment = $"one\nALTER ROLE {mallory} CONNECTION LIMIT 3;\n-- two\n\\! false\nit''s three; ";
        var database = await cluster.CreateDatabaseAsync(
            $"CREATE ROLE {mallory} LOGIN; CREATE ROLE {carol}; COMMENT ON ROLE {carol} IS E'{comment}'");
        await using (var own = await cluster.OpenAsync(database, mallory))
        {
            await using var command = own.CreateCommand();
            command.CommandText = $"ALTER ROLE CURRENT_USER SET search_path = E'a\nALTER USER {mallory} SUPERUSER;\n--'";
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        using var work = new Workspace(cluster, database);
        await work.BackupAsync();
        work.Set("DATABASE_HOST", second.Host);
        await second.ExecuteAsync("postgres", $"CREATE ROLE {mallory} LOGIN CONNECTION LIMIT 7");

        (await work.RunAsync("restore", "--latest", "--globals")).Expect(0);

        Assert.Equal("f 7", await second.TextAsync(
            "postgres", $"SELECT format('%s %s', rolsuper, rolconnlimit) FROM pg_roles WHERE rolname = '{mallory}'"));
        var ofCarol = $"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{carol}'";
        Assert.Equal(await cluster.TextAsync("postgres", ofCarol), await second.TextAsync("postgres", ofCarol));
        await cluster.ExecuteAsync("postgres", $"DROP ROLE {mallory}; DROP ROLE {carol}");
    }

    // Guards against this: they came from the set of the database whose name is the first, however old it was.
    [Fact]
    public async Task Of_several_databases_the_newest_set_says_what_the_roles_are()
    {
        var role = RestoreHelp.NewName("role");
        string[] databases = [RestoreHelp.NewName("a"), RestoreHelp.NewName("z")];
        using var work = new Workspace(cluster, databases[0]);
        await cluster.ExecuteAsync("postgres", $"CREATE ROLE {role} CONNECTION LIMIT 3");
        foreach (var (database, limit) in databases.Zip([3, 9]))
        {
            await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {database}");
            await cluster.ExecuteAsync("postgres", $"ALTER ROLE {role} CONNECTION LIMIT {limit}");
            await work.Set("DATABASE_NAME", database).BackupAsync();
            await cluster.ExecuteAsync("postgres", $"DROP DATABASE {database}");
        }

        work.Set("DATABASE_HOST", second.Host);
        (await work.RunAsync("restore", "--latest", "--all-databases", "--globals")).Expect(0);

        Assert.Equal("9", await second.TextAsync("postgres", $"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{role}'"));
    }

    [Fact]
    public async Task Without_owner_and_privileges_no_role_is_needed()
    {
        using var work = await WorkAsync();
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--no-owner", "--no-privileges")).Expect(0);

        Assert.Equal("postgres", await second.TextAsync(target, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'owned'"));
        Assert.Equal("1", await second.TextAsync(target, "SELECT count(*) FROM owned"));
    }

    // Backed up on the first cluster; the settings then point at the second.
    private async Task<Workspace> WorkAsync()
    {
        var (owner, reader) = (RestoreHelp.NewName("Owner of"), RestoreHelp.NewName("reader"));
        await cluster.ExecuteAsync(
            "postgres",
            $"CREATE ROLE \"{owner}\" LOGIN PASSWORD 'secret'; CREATE ROLE \"{reader}\" LOGIN PASSWORD 'from the backup'");
        var database = await cluster.CreateDatabaseAsync(
            $"CREATE TABLE owned AS SELECT 1 AS x; ALTER TABLE owned OWNER TO \"{owner}\"; GRANT SELECT ON owned TO \"{reader}\"");
        await cluster.ExecuteAsync(
            "postgres",
            $"ALTER DATABASE {database} OWNER TO \"{owner}\"; ALTER ROLE \"{reader}\" IN DATABASE {database} SET work_mem = '5MB'");
        var work = new Workspace(cluster, database);
        await work.BackupAsync();
        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {database}");
        work.Set("DATABASE_HOST", second.Host);
        work.Environment["OWNER"] = owner;
        work.Environment["READER"] = reader;
        return work;
    }
}

/// <summary>A server of its own, without the roles of the first.</summary>
public sealed class SecondCluster : PostgresCluster;
