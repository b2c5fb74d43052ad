using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>
/// Onto a server that is older than the one that the set is of, or than the programs. Guards against this: --clean dropped
/// the working database for a set whose first statement the server refuses.
/// </summary>
public sealed class OlderServerTests(PostgresCluster cluster, Samples samples)
{
    private const string Precious = "CREATE TABLE precious AS SELECT 1 AS x";
    private static readonly string Newer = $"{PostgresPrograms.Major + 1}.1";

    // It knows what pg_restore sets first from 17 on.
    private static bool IsNewEnough => PostgresPrograms.Major >= 17;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Clean_drops_nothing_for_a_set_of_a_newer_server(bool byItsDump)
    {
        using var sample = await samples.SmallAsync(cluster);
        Change(sample, byItsDump ? "dumpVersion" : "serverVersion", Newer);
        UsePrograms(sample.Work, byItsDump ? Newer : $"{PostgresPrograms.Major}.1");
        var target = await cluster.CreateDatabaseAsync(Precious);
        string[] clean = ["restore", "--latest", "--target-db", target, "--clean", "--yes"];

        if (byItsDump && PostgresPrograms.Major == 16)
        {
            // Nothing that pg_restore 17 does is loaded into 16, into whatever database.
            (await sample.Work.RunAsync(clean)).Expect(1).Says("pg_dump 17 made it").Says("nothing was changed");
            Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
            return;
        }

        (await sample.Work.RunAsync(clean)).Expect(1).Says($"is of PostgreSQL {Newer[..2]}").Says("nothing was changed").Says("--swap");
        var plan = (await sample.Work.RunAsync([.. clean, "--plan"])).Expect(1);

        Assert.Contains($"refuse: set {sample.Id} is of PostgreSQL {Newer[..2]}", plan.Output, StringComparison.Ordinal);
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
        // Where nothing is lost it may be tried.
        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--swap", "--yes")).Expect(0);
        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
        (await sample.Work.RunAsync("restore", "--latest", "--target-db", await cluster.CreateDatabaseAsync("SELECT 1"), "--clean")).Expect(0);
    }

    [Theory]
    [InlineData("--clean")]
    [InlineData("--swap")]
    [InlineData("")]
    public async Task A_dump_that_no_older_server_can_load_is_refused_before_anything_is_made(string how)
    {
        using var sample = await samples.SmallAsync(cluster);
        Change(sample, "dumpVersion", "17.2");
        var target = await cluster.CreateDatabaseAsync(how.Length == 0 ? "SELECT 1" : Precious);
        string[] restore = ["restore", "--latest", "--target-db", target, .. how.Length == 0 ? Array.Empty<string>() : [how, "--yes"]];
        if (IsNewEnough)
        {
            (await sample.Work.RunAsync(restore)).Expect(0);
            return;
        }

        UsePrograms(sample.Work, "17.2");
        (await sample.Work.RunAsync(restore)).Expect(1).Says("pg_dump 17 made it").Says("transaction_timeout").Says("version 17 or newer");
        var plan = (await sample.Work.RunAsync([.. restore, "--plan"])).Expect(1);

        Assert.Contains("1. refuse: pg_dump 17 made it", plan.Output, StringComparison.Ordinal);
        var left = how.Length == 0 ? "0" : "1";
        Assert.Equal(left, await cluster.TextAsync(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"));
    }

    [Fact]
    public async Task Programs_that_the_server_can_not_follow_are_refused_and_a_backup_by_them_says_where_it_can_not_be_restored()
    {
        using var sample = await samples.SmallAsync(cluster);
        if (IsNewEnough)
        {
            Assert.DoesNotContain("can be restored into servers from version", (await sample.Work.RunAsync("backup")).Expect(0).Error, StringComparison.Ordinal);
            return;
        }

        UsePrograms(sample.Work, "17.2");
        var target = await cluster.CreateDatabaseAsync(Precious);
        string[] restore = ["restore", "--latest", "--target-db", target, "--clean", "--yes"];

        (await sample.Work.RunAsync(restore)).Expect(4).Says("pg_restore 17.2").Says($"hint: apt-get install postgresql-client-{PostgresPrograms.Major}");
        (await sample.Work.RunAsync([.. restore, "--plan"])).Expect(4);
        (await sample.Work.RunAsync("backup")).Expect(0).Says("can be restored into servers from version 17 on only");

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    private static void Change(Sample sample, string field, string version)
    {
        var edit = sample.Edit();
        edit.Manifest[field] = version;
        edit.SaveManifest();
    }

    // The programs of the test under another version's name: what they would do is not tried here, but never begun.
    private static void UsePrograms(Workspace work, string version) => work.FakePrograms(
        "pg_dump", $"[ \"$1\" != --version ] || {{ echo 'pg_dump (PostgreSQL) {version}'; exit; }}\nexec $REAL \"$@\"");
}
