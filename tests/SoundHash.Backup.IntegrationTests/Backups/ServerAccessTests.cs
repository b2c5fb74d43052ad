using System.Security.Cryptography;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>A cluster that also listens on a loopback address of its own and wants passwords there.</summary>
public sealed class PasswordCluster : PostgresCluster, IAsyncLifetime
{
    public const string Password = "it's a \"pass word\" #1 \\ $HOME";

    /// <summary>Of 127.0.0.0/8, so that the usual port is free.</summary>
    public string Address { get; } = $"127.{RandomNumberGenerator.GetInt32(1, 255)}.{RandomNumberGenerator.GetInt32(255)}.{RandomNumberGenerator.GetInt32(1, 255)}";

    public override string Settings => $"listen_addresses = '{Address}'\npassword_encryption = 'scram-sha-256'";

    async ValueTask IAsyncLifetime.InitializeAsync()
    {
        await InitializeAsync();
        await File.WriteAllTextAsync(
            Path.Combine(DataDirectory, "pg_hba.conf"),
            "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n");
        await ExecuteAsync("postgres", $"ALTER ROLE postgres PASSWORD '{Password.Replace("'", "''", StringComparison.Ordinal)}'");
        await ExecuteAsync("postgres", "CREATE DATABASE music");
        await ExecuteAsync("music", "CREATE TABLE t AS SELECT 1 AS id");
        await ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        await Eventually.TrueAsync(
            async () => (await Command.RunAsync(
                "psql",
                "-XAtwc",
                "SELECT 1",
                "-h",
                Address,
                "-U",
                "postgres")).ExitCode != 0, "the server wants a password");
    }
}

/// <summary>What happens on the way to a server, and with a role that may not do everything.</summary>
public sealed class ServerAccessTests(PostgresCluster cluster, PasswordCluster tcp) : IClassFixture<PasswordCluster>
{
    private Workspace OverTcp() => new Workspace(tcp, "music").Set("DATABASE_HOST", tcp.Address);

    [Fact]
    public async Task A_password_comes_from_the_environment_a_file_or_a_URL_and_is_never_shown()
    {
        using var work = OverTcp();
        work.Environment["DATABASE_PASSWORD"] = PasswordCluster.Password;
        var result = (await work.RunAsync("backup", "--log-level", "debug")).Expect(0);
        Assert.DoesNotContain(PasswordCluster.Password, result.ToString(), StringComparison.Ordinal);

        work.Environment.Remove("DATABASE_PASSWORD");
        var file = Path.Combine(work.Folder, "password");
        await File.WriteAllTextAsync(file, PasswordCluster.Password + "\n", TestContext.Current.CancellationToken);
        work.Set("DATABASE_PASSWORD_FILE", "./password");
        (await work.RunAsync("backup")).Expect(0);

        using var byUrl = OverTcp();
        byUrl.Unset("DATABASE_HOST").Unset("DATABASE_PORT").Unset("DATABASE_USER").Unset("DATABASE_NAME");
        byUrl.Environment["DATABASE_URL"] = $"postgresql+psycopg2://postgres:{Uri.EscapeDataString(PasswordCluster.Password)}@{tcp.Address}/music";
        await byUrl.BackupAsync();

        // In a .env file as it would be written by hand.
        using var byEnvFile = OverTcp();
        await tcp.ExecuteAsync("postgres", "CREATE ROLE quoted LOGIN SUPERUSER PASSWORD 'a b#c$d''e'");
        byEnvFile.Set("DATABASE_USER", "quoted").Set("DATABASE_PASSWORD", "\"a b#c$d'e\"");
        await byEnvFile.BackupAsync();
    }

    [Fact]
    public async Task A_wrong_password_host_port_or_database_is_named_with_the_next_step_and_exit_code_5()
    {
        using var work = OverTcp();
        (await work.RunAsync("backup")).Expect(5).Says("hint: set DATABASE_PASSWORD").Says(".pgpass");
        work.Set("DATABASE_PASSWORD", "wrong-password");
        var refused = (
            await work.RunAsync("backup")).Expect(5).Says("password authentication failed for user \"postgres\"").Says("DATABASE_PASSWORD");
        Assert.DoesNotContain("wrong-password", refused.Error, StringComparison.Ordinal);

        work.Environment["DATABASE_PASSWORD"] = PasswordCluster.Password;
        work.Set("DATABASE_NAME", "no such");
        (await work.RunAsync("backup")).Expect(5).Says("database \"no such\" does not exist").Says("psql -l");
        work.Set("DATABASE_NAME", "music").Set("DATABASE_PORT", "1");
        (await work.RunAsync("backup")).Expect(5).Says($"{tcp.Address}:1").Says("pg_isready");
        work.Set("DATABASE_PORT", "5432").Set("DATABASE_HOST", "no-such-host.invalid");
        (await work.RunAsync("backup")).Expect(5).Says("no-such-host.invalid").Says("DATABASE_HOST");
        work.Set("DATABASE_PORT", "99999");
        (await work.RunAsync("backup")).Expect(3).Says("DATABASE_PORT='99999' must be a port");

        work.Set("DATABASE_HOST", work.Folder).Set("DATABASE_PORT", "5999");
        (await work.RunAsync("backup")).Expect(5).Says($"there is no socket {work.Folder}/.s.PGSQL.5999").Says("hint: correct DATABASE_PORT");

        Assert.Empty(work.SetFiles());
    }

    [Fact]
    public async Task A_repository_takes_another_cluster_only_when_told()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)"));
        await work.BackupAsync();
        using var other = new Workspace(tcp, "music");
        other.Set("BACKUP_DIR", work.Repository);

        (await other.RunAsync("backup")).Expect(3).Says("system identifier").Says("--new-system");
        Assert.Single(await other.ListedAsync());

        await other.BackupAsync("--new-system");
        await other.BackupAsync();
        await work.BackupAsync();
        Assert.Equal(4, (await work.ListedAsync()).Count);
    }

    [Fact]
    public async Task A_table_that_the_role_may_not_read_fails_the_backup_by_name()
    {
        var role = $"limited_{Guid.NewGuid():n}"[..20];
        var database = await cluster.CreateDatabaseAsync(
            $"CREATE TABLE open (id int); CREATE TABLE \"Closed Table\" (id int); CREATE ROLE {role} LOGIN; GRANT SELECT ON open TO {role}");
        using var work = new Workspace(cluster, database);
        work.Set("DATABASE_USER", role);

        (await work.RunAsync("backup")).Expect(5).Says("Closed Table").Says("hint: GRANT").Says("pg_read_all_data");

        Assert.Empty(work.SetFiles());
    }

    /// <summary>pg_read_all_data, which is enough for tables, covers no large objects.</summary>
    [Fact]
    public async Task A_large_object_that_the_role_may_not_read_fails_the_backup_with_what_to_do()
    {
        var role = $"no_lo_{Guid.NewGuid():n}"[..20];
        var database = await cluster.CreateDatabaseAsync(
            $"CREATE ROLE {role} LOGIN; {PostgresPrograms.LetRead(role)}; CREATE TABLE t (id int); SELECT lo_from_bytea(0, 'x')");
        using var work = new Workspace(cluster, database);
        work.Set("DATABASE_USER", role);

        (await work.RunAsync("backup")).Expect(5).Says("permission denied for large object").Says("hint: pg_read_all_data covers no large objects");

        Assert.Empty(work.SetFiles());
    }

    [Fact]
    public async Task A_table_with_row_security_is_refused_to_a_role_that_would_not_see_all_of_it()
    {
        var role = $"partial_{Guid.NewGuid():n}"[..20];
        var database = await cluster.CreateDatabaseAsync(
            $"""
            CREATE ROLE {role} LOGIN; {PostgresPrograms.LetRead(role)};
            CREATE TABLE tenants (owner text); INSERT INTO tenants VALUES ('{role}'), ('other');
            ALTER TABLE tenants ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON tenants USING (owner = current_user);
            """);
        using var work = new Workspace(cluster, database);
        work.Set("DATABASE_USER", role);

        (await work.RunAsync("backup")).Expect(5).Says("row-level security").Says("tenants");
        Assert.Empty(work.SetFiles());

        await cluster.ExecuteAsync("postgres", $"ALTER ROLE {role} BYPASSRLS");
        Assert.Equal(2, (await work.ContentsAsync(await work.BackupAsync())).RowsOf("tenants"));
    }

    // Guards against this: roles were not dumped although a restore needs them.
    [Fact]
    public async Task Roles_are_kept_and_where_passwords_may_not_be_read_this_is_said_and_recorded()
    {
        var role = $"humble_{Guid.NewGuid():n}"[..20];
        var database = await cluster.CreateDatabaseAsync(
            $"CREATE ROLE {role} LOGIN PASSWORD 'hidden'; CREATE TABLE t (id int); GRANT SELECT ON t TO {role}; GRANT CONNECT ON DATABASE postgres TO {role}");
        using var work = new Workspace(cluster, database);
        async Task<string> GlobalsAsync(string id) => (
            await Command.ShellAsync($"zstd -dcq '{work.SetFolder(id)}/globals.sql.zst'")).Output;

        var full = await work.BackupAsync();
        Assert.Matches($"ALTER ROLE {role} .*PASSWORD 'SCRAM-SHA-256", await GlobalsAsync(full));
        Assert.True((await work.ContentsAsync(full)).GetProperty("rolePasswords").GetBoolean());
        Assert.Contains(role, (await work.ContentsAsync(full)).GetProperty("roles").EnumerateArray().Select(static r => r.GetString()));

        work.Set("DATABASE_USER", role);
        // The first database fails: what is said of the globals is said all the same.
        (await work.RunAsync(
            "backup",
            "--database",
            "no such",
            "--database",
            database)).Expect(5).Says($"role \"{role}\" may not read role passwords");
        var listed = await work.ListedAsync();
        Assert.Equal(2, listed.Count);
        var globals = await GlobalsAsync(listed[0]);
        Assert.Contains($"CREATE ROLE {role}", globals, StringComparison.Ordinal);
        Assert.DoesNotContain("SCRAM-SHA-256", globals, StringComparison.Ordinal);
        Assert.False((await work.ContentsAsync(listed[0])).GetProperty("rolePasswords").GetBoolean());
    }

    [Theory]
    [InlineData("transaction", 3, "hint: point DATABASE_HOST and DATABASE_PORT at the PostgreSQL server itself")]
    [InlineData("statement", 5, "statement pooling mode")]
    [InlineData("session", 0, "backing up")]
    public async Task A_pooler_that_scatters_a_session_is_refused_and_one_that_does_not_works(string mode, int code, string words)
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var folder = new TempFolder("pooler");
        using var work = new Workspace(cluster, database);
        await File.WriteAllTextAsync(
            folder["pgbouncer.ini"],
            $"""
            [databases]
            * = host={cluster.Host} port=5432
            [pgbouncer]
            listen_addr =
            listen_port = 6432
            unix_socket_dir = {folder.Path}
            auth_type = trust
            auth_file = {folder["users"]}
            pool_mode = {mode}
            """,
            TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(folder["users"], "\"postgres\" \"\"\n", TestContext.Current.CancellationToken);
        await Command.ShellAsync($"chown -R postgres: '{folder.Path}'");
        using var pooler = Command.Start(
            "setpriv",
            ["--reuid=postgres", "--regid=postgres", "--init-groups", "--", "/usr/sbin/pgbouncer", "--quiet", folder["pgbouncer.ini"]],
            null,
            "/");
        try
        {
            await Eventually.TrueAsync(
                () => !pooler.HasExited ? File.Exists(folder[".s.PGSQL.6432"]) : throw new InvalidOperationException("pgbouncer did not start"), "pgbouncer listens");
            work.Set("DATABASE_HOST", folder.Path).Set("DATABASE_PORT", "6432");

            (await work.RunAsync("backup", "--jobs", "2")).Expect(code).Says(words);

            if (code == 0)
            {
                (await work.RunAsync("backup", "verify", "--all", "--deep")).Expect(0);
                // A pooler refuses startup options that it does not know: of psql, pg_restore and vacuumdb too.
                var copy = RestoreHelp.NewName();
                var restored = (await work.RunAsync("restore", "--latest", "--target-db", copy, "--schema-only")).Expect(0);
                var filled = (await work.RunAsync("restore", "--latest", "--target-db", copy, "--data-only")).Expect(0);
                Assert.DoesNotContain("warning", restored.Error + filled.Error, StringComparison.Ordinal);
            }
            else
            {
                Assert.Empty(work.SetFiles());
            }
        }
        finally
        {
            await pooler.EndAsync("KILL");
        }
    }

    [Fact]
    public async Task Client_programs_that_are_too_old_are_refused_with_the_version_needed()
    {
        using var work = new Workspace(cluster, "postgres");
        using var tools = new TempFolder("old");
        await Command.ShellAsync(
            $"for t in pg_dump pg_dumpall pg_restore psql; do printf '#!/bin/sh\\necho \"%s (PostgreSQL) 9.6.24\"\\n' $t > '{tools.Path}'/$t; done; chmod 755 '{tools.Path}'/*");
        work.Set("PG_BIN_DIR", tools.Path);

        (await work.RunAsync("backup")).Expect(4).Says("or newer").Says("9.6.24").Says("PG_BIN_DIR");

        work.Set("PG_BIN_DIR", "/nonexistent");
        (await work.RunAsync("backup")).Expect(4).Says("none found");
        Assert.Empty(work.SetFiles());
    }

    [Fact]
    public async Task Without_the_age_program_the_backup_says_what_to_install()
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        // Its own mount namespace, in which age is no program.
        var environment = work.CleanEnvironment();
        using var prepared = work.Start("--version");
        (await Command.FinishAsync(prepared)).Expect(0);

        var result = await Command.RunAsync(
            "unshare",
            ["--mount", "sh", "-c", "mount --bind /dev/null /usr/bin/age && exec \"$@\"", "sh", Workspace.Executable, "backup"],
            environment,
            work.Folder);

        result.Expect(4).Says("the program age was not found").Says("apt-get install age");
        Assert.Empty(work.SetFiles());
    }

    [Fact]
    public async Task Without_libzstd_gzip_is_used_and_what_zstd_compressed_says_what_to_install()
    {
        var database = await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
        using var work = new Workspace(cluster, database);
        var zstd = await work.BackupAsync("--name", "with");
        // PostgreSQL's programs may need it for themselves: they have a copy.
        var copy = Directory.CreateDirectory(Path.Combine(work.Folder, "lib")).FullName;
        work.FakePrograms(["pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb"], $"LD_LIBRARY_PATH='{copy}' exec \"$REAL\" \"$@\"");
        const string Find = "$(ldconfig -p | awk '$1 == \"libzstd.so.1\" { print $NF }')";
        await Command.ShellAsync($"cp -L {Find} '{copy}/libzstd.so.1'");
        async Task<CommandResult> WithoutAsync(params string[] arguments)
        {
            (await work.RunAsync("--version")).Expect(0);
            return await Command.RunAsync(
                "unshare",
                ["--mount", "sh", "-ec", $"mount --bind /dev/null \"$(readlink -f {Find})\"; exec \"$@\"", "sh", Workspace.Executable, .. arguments],
                work.CleanEnvironment(),
                work.Folder);
        }

        (await WithoutAsync("backup", "--name", "without")).Expect(0);
        (await WithoutAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
        (await WithoutAsync("restore", "--backup", zstd, "--target-db", RestoreHelp.NewName())).Expect(4).Says("libzstd.so.1 is missing").Says("apt-get install libzstd1");
        (await WithoutAsync("backup", "verify", zstd, "--deep")).Expect(4);
        work.Set("BACKUP_COMPRESSION", "zstd");
        (await WithoutAsync("backup")).Expect(3).Says("BACKUP_COMPRESSION").Says("libzstd.so.1");

        var made = (await work.ListedAsync()).Single(id => id != zstd);
        var objects = work.SetFiles().Where(f => f.StartsWith(work.SetFolder(made), StringComparison.Ordinal)).Select(Path.GetFileName).ToList();
        Assert.Contains("database.dump.gz", objects);
        Assert.DoesNotContain(objects, static f => f!.EndsWith(".zst", StringComparison.Ordinal));
    }
}
