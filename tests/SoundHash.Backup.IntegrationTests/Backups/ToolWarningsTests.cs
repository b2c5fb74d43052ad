using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>What PostgreSQL's programs say and still exit with 0: often that something is not in the dump.</summary>
public sealed class ToolWarningsTests(PostgresCluster cluster)
{
    [Fact]
    public async Task What_pg_dump_leaves_out_is_said_and_recorded()
    {
        var role = $"reader_{Guid.NewGuid():n}"[..20];
        var database = await cluster.CreateDatabaseAsync(
            $"""
            CREATE ROLE {role} LOGIN; {PostgresPrograms.LetRead(role)};
            CREATE TABLE t (id int);
            CREATE SUBSCRIPTION {role} CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE);
            """);
        using var work = new Workspace(cluster, database);
        work.Set("DATABASE_USER", role);
        try
        {
            (await work.RunAsync("backup")).Expect(0).Says("subscriptions not dumped because current user is not a superuser");

            var contents = await work.ContentsAsync(Assert.Single(await work.ListedAsync()));
            Assert.Contains("subscriptions not dumped", Assert.Single(Warnings(contents)), StringComparison.Ordinal);
        }
        finally
        {
            await cluster.ExecuteAsync(database, $"DROP SUBSCRIPTION {role}");
        }
    }

    [Fact]
    public async Task What_several_streams_or_databases_say_is_said_once_and_kept_in_each_set()
    {
        using var sample = await Split.MakeAsync(cluster);
        var work = sample.Work;
        work.FakePrograms(
            "pg_dump", "[ $1 = --version ] || { echo 'pg_dump: warning: odd' >&2; echo \"of $$\" >&2; echo >&2; }; exec $REAL \"$@\"");
        // FakePrograms makes its folder once: the second program goes into the same.
        var all = Path.Combine(work.Folder, "fakebin", "pg_dumpall");
        File.Delete(all);
        await File.WriteAllTextAsync(
            all,
            $"#!/bin/sh\necho 'pg_dumpall: warning: globals' >&2\nexec {PostgresPrograms.Directory}/pg_dumpall \"$@\"\n",
            TestContext.Current.CancellationToken);
        File.SetUnixFileMode(all, (UnixFileMode)0b111_101_101);

        var result = (await work.RunAsync("backup", "--jobs", "2", "--database", sample.Database, "--database", sample.Small)).Expect(0);

        Assert.Equal(2, Count(result.Error, "pg_dump: warning: odd"));
        Assert.Equal(1, Count(result.Error, "pg_dumpall: warning: globals"));
        foreach (var (id, streams) in (await work.ListedAsync()).Zip([1, 4]))
        {
            var warnings = Warnings(await work.ContentsAsync(id));
            Assert.Equal(
                ["pg_dumpall: warning: globals", "pg_dump: warning: odd"],
                warnings.Where(static w => w.Contains("warning", StringComparison.Ordinal)));
            Assert.Equal(streams, warnings.Count(static w => w.StartsWith("of ", StringComparison.Ordinal)));
            Assert.Equal(2 + streams, warnings.Count);
        }
    }

    private static List<string> Warnings(System.Text.Json.JsonElement contents) =>
        contents.GetProperty("warnings").EnumerateArray().Select(static w => w.GetString()!).ToList();

    private static int Count(string text, string part) => text.Split(part).Length - 1;

    // A database that is dumped in four streams, and one in one.
    private sealed record Split(Workspace Work, string Database, string Small) : IDisposable
    {
        public static async Task<Split> MakeAsync(PostgresCluster cluster)
        {
            var big = await cluster.CreateDatabaseAsync(
                """
                CREATE TABLE big (id int, t text); ALTER TABLE big ALTER t SET STORAGE EXTERNAL;
                INSERT INTO big SELECT g, repeat(md5(g::text), 64) FROM generate_series(1, 33000) g;
                """);
            return new Split(new Workspace(cluster, big), big, await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)"));
        }

        public void Dispose() => Work.Dispose();
    }
}
