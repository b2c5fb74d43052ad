using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>
/// A restore refuses before it makes anything when roles or tablespaces are missing, so that the set must name all of
/// them, and no others.
/// </summary>
public sealed class NeededRolesTests(PostgresCluster cluster)
{
    [Theory]
    [InlineData("GRANT CONNECT ON DATABASE {db} TO {role}")]
    [InlineData("ALTER DATABASE {db} OWNER TO {role}")]
    [InlineData("GRANT CREATE ON DATABASE {db} TO {role} WITH GRANT OPTION; SET ROLE {role}; GRANT CREATE ON DATABASE {db} TO PUBLIC")]
    [InlineData("ALTER ROLE {role} IN DATABASE {db} SET work_mem = '5MB'")]
    [InlineData("ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON TABLES TO PUBLIC")]
    [InlineData("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}")]
    [InlineData("CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE USER MAPPING FOR {role} SERVER s")]
    [InlineData("CREATE TABLE t (id int); CREATE POLICY p ON t TO {role} USING (true)")]
    [InlineData("CREATE TABLE t (id int, x int); GRANT SELECT (x) ON t TO {role}")]
    [InlineData("CREATE TABLE t (id int); ALTER TABLE t OWNER TO {role}")]
    [InlineData("ALTER SCHEMA public OWNER TO {role}")]
    [InlineData("CREATE SCHEMA s AUTHORIZATION {role}")]
    [InlineData("CREATE TYPE e AS ENUM ('a'); ALTER TYPE e OWNER TO {role}")]
    [InlineData("CREATE DOMAIN d AS int; ALTER DOMAIN d OWNER TO {role}")]
    [InlineData("CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl); ALTER OPERATOR ### (int, int) OWNER TO {role}")]
    [InlineData("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() OWNER TO {role}")]
    [InlineData("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; GRANT USAGE ON FOREIGN SERVER s TO {role}")]
    [InlineData("CREATE PUBLICATION p; ALTER DATABASE {db} OWNER TO {role}; ALTER PUBLICATION p OWNER TO {role}")]
    [InlineData("CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple); ALTER TEXT SEARCH DICTIONARY d OWNER TO {role}")]
    [InlineData("CREATE COLLATION c FROM \"C\"; ALTER COLLATION c OWNER TO {role}")]
    [InlineData("CREATE TABLE t (a int, b int); CREATE STATISTICS st ON a, b FROM t; ALTER STATISTICS st OWNER TO {role}")]
    [InlineData("SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO {role}")]
    public async Task A_role_that_the_set_names_is_recorded(string sql)
    {
        var (role, database) = ($"needed_{Guid.NewGuid():n}"[..20], await cluster.CreateDatabaseAsync("SELECT 1"));
        await cluster.ExecuteAsync(database, $"CREATE ROLE {role}");
        using var work = new Workspace(cluster, database);
        Assert.DoesNotContain(role, await RolesAsync(work));
        sql = sql.Replace("{db}", database, StringComparison.Ordinal).Replace("{role}", role, StringComparison.Ordinal);
        await cluster.ExecuteAsync(database, sql);

        Assert.Contains(role, await RolesAsync(work));
    }

    [Theory]
    [InlineData("CREATE TYPE e AS ENUM ('a')")]
    [InlineData("CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()")]
    [InlineData("SELECT lo_create(4711)")]
    public async Task The_superuser_of_the_cluster_is_recorded_where_an_object_is_its(string sql)
    {
        var role = $"owner_{Guid.NewGuid():n}"[..20];
        var database = await cluster.CreateDatabaseAsync($"CREATE ROLE {role}");
        await cluster.ExecuteAsync("postgres", $"ALTER DATABASE {database} OWNER TO {role}");
        using var work = new Workspace(cluster, database);
        // Neither what initdb made nor an extension, nor temporary tables, need it.
        await cluster.ExecuteAsync(
            database,
            $"""
            CREATE EXTENSION hstore; CREATE TEMPORARY TABLE passing (id int);
            CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; ALTER FUNCTION f() OWNER TO {role};
            """);
        Assert.Equal([role], await RolesAsync(work));
        await cluster.ExecuteAsync(database, sql);

        Assert.Equal([role, "postgres"], (await RolesAsync(work)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Tablespaces_that_hold_something_of_the_database_are_recorded_and_a_restore_goes_with_and_without_them()
    {
        // Not in the server that others share: their globals would have the tablespace too, and no second server can make it beside this one.
        await using var own = new PostgresCluster();
        await own.InitializeAsync();
        var name = $"Fast disk {Guid.NewGuid():n}"[..20];
        var folder = Directory.CreateDirectory(Path.Combine(own.Host, $"ts_{Guid.NewGuid():n}"));
        await Command.ShellAsync($"chown postgres: '{folder.FullName}'");
        await own.ExecuteAsync("postgres", $"CREATE TABLESPACE \"{name}\" LOCATION '{folder.FullName}'");
        var database = await own.CreateDatabaseAsync(
            $"""
            CREATE TABLE plain (id int);
            CREATE TABLE fast (id int) TABLESPACE "{name}"; INSERT INTO fast SELECT generate_series(1, 5);
            CREATE TABLE usual (id int) TABLESPACE pg_default;
            """);
        using var work = new Workspace(own, database);

        var id = await work.BackupAsync();

        Assert.Equal([name], (await work.ContentsAsync(id)).GetProperty("tablespaces").EnumerateArray().Select(static t => t.GetString()!));
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal("5", await own.TextAsync(copy, "SELECT count(*) FROM fast"));
        Assert.Equal(name, await own.TextAsync(copy, "SELECT tablespace FROM pg_tables WHERE tablename = 'fast'"));
        var without = $"{copy}_2";
        (await work.RunAsync("restore", "--backup", id, "--target-db", without, "--no-tablespaces")).Expect(0);
        Assert.Equal("5", await own.TextAsync(without, "SELECT count(*) FROM fast"));
        Assert.Null(await own.TextAsync(without, "SELECT tablespace FROM pg_tables WHERE tablename = 'fast'"));

        await own.ExecuteAsync(database, "DROP TABLE fast");
        Assert.Empty((await work.ContentsAsync(await work.BackupAsync())).GetProperty("tablespaces").EnumerateArray());
    }

    private static async Task<IReadOnlyList<string>> RolesAsync(Workspace work)
    {
        var contents = await work.ContentsAsync(await work.BackupAsync());
        return contents.GetProperty("roles").EnumerateArray().Select(static r => r.GetString()!).ToList();
    }
}
