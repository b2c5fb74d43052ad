using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>
/// Large objects in a split set: up to version 16 pg_dump puts their making, owner, rights and comments among the
/// definitions, from 17 on among the data; their bytes are always in the data.
/// </summary>
public sealed class LargeObjectTests(PostgresCluster cluster)
{
    private const string Everything =
        """
        SELECT format('%s %s %s %s %s',
            md5(string_agg(format('%s %s %s %s %s', oid, pg_get_userbyid(lomowner), lomacl, comment, md5(lo_get(oid))), ';' ORDER BY oid)),
            count(*), count(lomacl), count(comment), count(DISTINCT lomowner))
        FROM (SELECT *, obj_description(oid, 'pg_largeobject') AS comment FROM pg_largeobject_metadata) m
        """;

    [Fact]
    public async Task Two_thousand_large_objects_of_a_split_set_come_back_with_owners_rights_and_comments()
    {
        var (owner, reader) = ($"lo_owner_{Guid.NewGuid():n}"[..20], $"lo_reader_{Guid.NewGuid():n}"[..20]);
        var database = await cluster.CreateDatabaseAsync(
            $$"""
            CREATE ROLE {{owner}}; CREATE ROLE {{reader}};
            CREATE TABLE big (id int, t text); ALTER TABLE big ALTER t SET STORAGE EXTERNAL;
            INSERT INTO big SELECT g, repeat(md5(g::text), 64) FROM generate_series(1, 33000) g;
            DO $do$
            DECLARE lo oid;
            BEGIN
                FOR i IN 1..2000 LOOP
                    lo := lo_from_bytea(0, convert_to(repeat(md5(i::text), i % 300), 'UTF8'));
                    IF i % 2 = 0 THEN EXECUTE format('ALTER LARGE OBJECT %s OWNER TO {{owner}}', lo); END IF;
                    IF i % 3 = 0 THEN EXECUTE format('GRANT SELECT, UPDATE ON LARGE OBJECT %s TO {{reader}}', lo); END IF;
                    IF i % 5 = 0 THEN EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', lo, 'number ' || i); END IF;
                END LOOP;
            END $do$;
            """);
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync("--jobs", "2");

        Assert.True(File.Exists(Path.Combine(work.SetFolder(id), "pre-data.dump.zst")));
        var expected = await cluster.TextAsync(database, Everything);
        Assert.EndsWith(" 2000 666 400 2", expected, StringComparison.Ordinal);
        Assert.Equal(expected, await cluster.TextAsync(await work.RestoreBesideAsync(id), Everything));
    }
}
