using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Equal content has equal fingerprints, however a restore came to lay it out.</summary>
public sealed class FingerprintTests(PostgresCluster cluster)
{
    [Fact]
    public async Task A_restored_table_whose_columns_come_in_another_order_is_the_same()
    {
        var database = await cluster.CreateDatabaseAsync(
            """
            CREATE TABLE parent (id int); CREATE TABLE child (own text) INHERITS (parent);
            ALTER TABLE parent ADD COLUMN later text; ALTER TABLE parent ADD COLUMN "A quoted ""one"" " int;
            INSERT INTO child VALUES (1, 'own', 'later', 7), (2, NULL, 'later', NULL);
            CREATE TABLE dropped (b text, gone int, a text); ALTER TABLE dropped DROP COLUMN gone; INSERT INTO dropped VALUES ('b', 'a');
            CREATE TABLE x (x int, "x.*" int, count int); INSERT INTO x VALUES (1, 2, 3);
            """);
        using var work = new Workspace(cluster, database);

        var copy = await work.RestoreBesideAsync(await work.BackupAsync("--fingerprint"));

        const string Order =
            "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'child'::regclass AND attnum > 0";
        Assert.Equal("id,own,later,A quoted \"one\" ", await cluster.TextAsync(database, Order));
        Assert.Equal("id,later,A quoted \"one\" ,own", await cluster.TextAsync(copy, Order));
    }

    [Fact]
    public async Task Values_that_changed_places_between_columns_are_another_content_and_generated_ones_are_none()
    {
        var database = await cluster.CreateDatabaseAsync(
            """
            CREATE TABLE one (a text, b text); INSERT INTO one VALUES ('1', '2');
            CREATE TABLE same (b text, a text); INSERT INTO same VALUES ('2', '1');
            CREATE TABLE swapped (a text, b text); INSERT INTO swapped VALUES ('2', '1');
            CREATE TABLE generated (a text, b text, c text GENERATED ALWAYS AS (a || b) STORED); INSERT INTO generated VALUES ('1', '2');
            """);
        using var work = new Workspace(cluster, database);

        var contents = await work.ContentsAsync(await work.BackupAsync("--fingerprint"));

        string Fingerprint(string table) => contents.Table(table).GetProperty("fingerprint").GetString()!;
        Assert.StartsWith("sum64n:", Fingerprint("one"), StringComparison.Ordinal);
        Assert.Equal(Fingerprint("one"), Fingerprint("same"));
        Assert.Equal(Fingerprint("one"), Fingerprint("generated"));
        Assert.NotEqual(Fingerprint("one"), Fingerprint("swapped"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1600)]
    public async Task A_table_may_have_as_many_columns_as_PostgreSQL_lets_it(int columns)
    {
        var names = Enumerable.Range(0, columns).Select(static c => $"\"column {c} with a name of some length\" smallint").ToList();
        var database = await cluster.CreateDatabaseAsync(
            $"CREATE TABLE wide ({string.Join(", ", names)}); INSERT INTO wide DEFAULT VALUES; INSERT INTO wide DEFAULT VALUES");
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync("--fingerprint");

        Assert.Equal(2, (await work.ContentsAsync(id)).RowsOf("wide"));
        await work.RestoreBesideAsync(id);
    }
}
