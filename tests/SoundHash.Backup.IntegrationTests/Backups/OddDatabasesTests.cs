using Serilog.Core;
using SoundHash.Backup.Backups;
using SoundHash.Backup.Errors;
using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Databases that few have, and a table that is never free.</summary>
public sealed class OddDatabasesTests(PostgresCluster cluster)
{
    [Fact]
    public async Task A_database_of_provider_ICU_comes_back_with_its_provider_and_locale()
    {
        var database = $"icu_{Guid.NewGuid():n}"[..14];
        await cluster.ExecuteAsync(
            "postgres", $"CREATE DATABASE {database} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LOCALE 'C.UTF-8'");
        await cluster.ExecuteAsync(
            database, "CREATE TABLE names (n text PRIMARY KEY); INSERT INTO names VALUES ('Ärger'), ('Zorn'), ('Aerger')");
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync("--fingerprint");

        var properties = (await work.ContentsAsync(id)).GetProperty("database");
        Assert.Equal("icu de-u-co-phonebk", $"{properties.GetProperty("localeProvider")} {properties.GetProperty("locale")}");
        var copy = await work.RestoreBesideAsync(id);
        Assert.Equal(
            "i de-u-co-phonebk C.UTF-8",
            await cluster.TextAsync(
                "postgres", $"""
                SELECT concat_ws(' ', datlocprovider, coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), datcollate)
                FROM pg_database d WHERE datname = '{copy}'
                """));
        Assert.Equal("Aerger,Ärger,Zorn", await cluster.TextAsync(copy, "SELECT string_agg(n, ',' ORDER BY n) FROM names"));
    }

    [Fact]
    public async Task A_table_whose_lock_is_not_to_be_had_in_time_is_told_with_what_to_do()
    {
        var database = await cluster.CreateDatabaseAsync("CREATE TABLE a_free (id int); CREATE TABLE busy (id int)");
        await using var other = await cluster.OpenAsync(database);
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        await using var session = await Session.OpenAsync(
            new ConnectionSettings(cluster.Host, cluster.Port, database, "postgres"), TestContext.Current.CancellationToken);

        var e = await Assert.ThrowsAsync<BackupException>(
            () => SnapshotSession.OpenAsync(session, Logger.None, TestContext.Current.CancellationToken, TimeSpan.FromMilliseconds(100)));

        Assert.Equal(ErrorKind.ChildFailed, e.Kind);
        Assert.Contains("lock timeout", e.Message, StringComparison.Ordinal);
        Assert.Contains("another session holds a conflicting lock", e.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_whose_names_are_in_no_encoding_fails_by_itself_and_the_rest_is_backed_up()
    {
        var good = await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS id", "ascii_good");
        var bad = $"ascii_bad_{Guid.NewGuid():n}"[..20];
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {bad} ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
        var psql = $"{PostgresPrograms.Directory}/psql -h '{cluster.Host}' -U postgres -d {bad} -qX -v ON_ERROR_STOP=1";
        await Command.ShellAsync($"printf 'CREATE TABLE \"gr\\xf6\\xdfe\" (id int);' | PGCLIENTENCODING=SQL_ASCII {psql}");
        using var work = new Workspace(cluster, good);
        work.Environment["PGCLIENTENCODING"] = "LATIN1";

        (await work.RunAsync("backup", "--database", bad, "--database", good)).Expect(5).Says("invalid byte sequence").Says($"\"{bad}\"").Says("SQL_ASCII");

        Assert.StartsWith(good, Assert.Single(await work.ListedAsync()), StringComparison.Ordinal);
    }
}
