using SoundHash.Backup.IntegrationTests.Backups;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Event triggers come back with the database and must not take what the restore does there for work of its users.</summary>
public sealed class EventTriggerTests(PostgresCluster cluster)
{
    private const string Logging =
        """
        CREATE TABLE numbers AS SELECT generate_series(1, 7) AS x;
        CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM numbers;
        CREATE TABLE ddl_log (tag text);
        CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ddl_log VALUES (tg_tag); END';
        CREATE EVENT TRIGGER logging ON ddl_command_end EXECUTE FUNCTION log_ddl();
        CREATE TABLE one_row_for_this ();
        """;

    [Theory]
    [InlineData("")]
    [InlineData("--swap")]
    [InlineData("--clean")]
    public async Task A_database_whose_event_trigger_logs_definitions_comes_back_without_a_row_of_the_restore(string how)
    {
        var source = await cluster.CreateDatabaseAsync(Logging);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--fingerprint");
        var target = how.Length == 0 ? RestoreHelp.NewName() : await cluster.CreateDatabaseAsync("CREATE TABLE old ()");
        string[] mode = how.Length == 0 ? [] : [how, "--yes"];

        (await work.RunAsync(["restore", "--latest", "--target-db", target, .. mode])).Expect(0);

        Assert.Equal("7", await cluster.TextAsync(target, "SELECT n FROM counted"));
        Assert.Equal("CREATE TABLE", await cluster.TextAsync(target, "SELECT string_agg(tag, ', ') FROM ddl_log"));
    }

    // No setting of a version before 17 keeps these quiet: what counts are the rows that were loaded.
    [Theory]
    [InlineData("ALWAYS")]
    [InlineData("REPLICA")]
    public async Task An_event_trigger_that_fires_in_every_role_makes_no_difference_from_the_backup(string when)
    {
        var source = await cluster.CreateDatabaseAsync(Logging + $"ALTER EVENT TRIGGER logging ENABLE {when}");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--fingerprint");
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);

        Assert.Equal("7", await cluster.TextAsync(target, "SELECT n FROM counted"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_database_that_logs_its_logins_comes_back_without_one_of_the_restore(bool split)
    {
        // PostgreSQL has triggers on login from 17 on.
        var on = PostgresPrograms.Major >= 17 ? "login" : "ddl_command_end";
        var source = await cluster.CreateDatabaseAsync(
            """
            CREATE TABLE logins (who text);
            INSERT INTO logins VALUES ('before');
            CREATE TABLE numbers AS SELECT generate_series(1, 7) AS x;
            CREATE INDEX ON numbers (x);
            CREATE FUNCTION log_login() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.logins VALUES (session_user); END';
            """
            + (split ? "CREATE TABLE big (id int) WITH (fillfactor = 10); INSERT INTO big SELECT generate_series(1, 240000);" : string.Empty)
            + $"CREATE EVENT TRIGGER logging ON {on} EXECUTE FUNCTION log_login();");
        using var work = new Workspace(cluster, source);
        var contents = await work.ContentsAsync(await work.BackupAsync("--fingerprint", "--jobs", "2"));
        var target = RestoreHelp.NewName();

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--jobs", "2")).Expect(0);

        var saved = contents.GetProperty("tables").EnumerateArray().Single(static t => t.GetProperty("name").GetString() == "logins").GetProperty("rows").GetInt64();
        // Looking is a login too.
        Assert.Equal($"{(on == "login" ? saved + 1 : saved)}", await cluster.TextAsync(target, "SELECT count(*) FROM logins"));
    }
}
