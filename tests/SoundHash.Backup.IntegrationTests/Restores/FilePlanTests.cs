using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>restore --file --plan: what a file is, and what would become of it.</summary>
public sealed class FilePlanTests(PostgresCluster cluster, Samples samples)
{
    [Theory]
    [InlineData("a", "cp $D $F", "custom", "none", "none")]
    [InlineData("b", "zstd -qc $D | age -r $AGE -o $F", "custom", "zstd", "age")]
    [InlineData("c", "$PGRESTORE_SOURCE/pg_dump -Ft | gpg -q --batch --trust-model always -r $GPG -o $F -e", "tar", "none", "gpg")]
    [InlineData("d", "$PGRESTORE_SOURCE/pg_dump -Fd -f $F", "directory", "none", "none")]
    [InlineData("e", "$PGRESTORE_SOURCE/pg_dump | gzip > $F", "script", "gzip", "none")]
    public async Task A_plan_says_what_the_file_is_and_changes_nothing(string name, string make, string kind, string compression, string encryption)
    {
        using var work = await DumpFiles.WorkAsync(cluster, samples);
        await work.MakeDumpAsync(name, make);
        var target = RestoreHelp.NewName();

        var plan = (await work.JsonAsync(0, "restore", "--file", name, "--target-db", target, "--plan")).GetProperty("plan");
        var text = (await work.RunAsync("restore", "--file", name, "--target-db", target, "--plan")).Expect(0).Output;

        string? Field(string field) => plan.TryGetProperty(field, out var value) ? value.GetString() : null;
        Assert.Equal((kind, compression, encryption), (Field("kind"), Field("compression"), Field("encryption")));
        Assert.Equal(Path.Combine(work.Folder, name), Field("file"));
        Assert.True(plan.GetProperty("storedBytes").GetInt64() > 10_000);
        Assert.Equal("missing", Field("targetState"));
        Assert.Contains($"\"{target}\", which does not exist", text, StringComparison.Ordinal);
        if (kind == "script")
        {
            Assert.Null(Field("database"));
            Assert.Contains("an SQL script, gzip", text, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(Samples.SmallDatabase, Field("database"));
            Assert.StartsWith($"{PostgresPrograms.Major}", Field("serverVersion"), StringComparison.Ordinal);
            Assert.Matches("^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}$", Field("dumped"));
            Assert.Contains($"a pg_dump archive ({kind})", text, StringComparison.Ordinal);
            Assert.Contains($"\"{Samples.SmallDatabase}\" of PostgreSQL {PostgresPrograms.Major}", text, StringComparison.Ordinal);
        }

        await cluster.NothingIsLeftAsync(target);
    }

    [Fact]
    public async Task A_plan_has_the_steps_in_the_order_of_the_restore()
    {
        using var work = await DumpFiles.WorkAsync(cluster, samples);
        await work.MakeDumpAsync("x.dump", "cp $D $F");
        await work.MakeDumpAsync("x.sql", "$PGRESTORE_SOURCE/pg_dump > $F");
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE precious AS SELECT 1 AS x");
        var empty = await cluster.CreateDatabaseAsync("SELECT 1");
        const string Analyze = "analyze; no rows are compared, since a file does not say how many there were";

        Assert.Equal(
            [
                "read the file as far as that tells whether it can be restored",
                "make a new database under a working name",
                "load the archive into the new database, 2 processes at once",
                Analyze,
                $"drop database \"{target}\"",
                $"give it the name \"{target}\"",
            ],
            await StepsAsync(work, "x.dump", target, "--clean", "--jobs", "2"));
        Assert.Equal($"swap names with \"{target}\" and keep the old database", (await StepsAsync(work, "x.sql", target, "--swap"))[^1]);
        Assert.Equal(
            [$"load channels into the existing database \"{empty}\" in one transaction", Analyze, $"the result is in \"{empty}\""],
            await StepsAsync(work, "x.dump", empty, "--table", "channels"));
        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
    }

    [Theory]
    [InlineData("cp $D $F", 1, "has objects")]
    [InlineData("$PGRESTORE_SOURCE/pg_dump -Fc -t channels > $F", 1, "not empty", "--data-only")]
    [InlineData("$PGRESTORE_SOURCE/pg_dump -Ft -t channels -t videos > $F", 1, "public videos", "--data-only")]
    [InlineData("cp $D $F", 1, "is in database", "--table", "channels")]
    [InlineData("cp $D $F", 2, "has no table 'absent'", "--table", "absent")]
    [InlineData("$PGRESTORE_SOURCE/pg_dump > $F", 2, "is SQL", "--data-only")]
    [InlineData("{ $PGRESTORE_SOURCE/pg_dump; echo '\\! true'; } > $F", 2, "command", "--swap", "--yes")]
    [InlineData("$PGRESTORE_SOURCE/pg_dump | head -c 50000 > $F", 8, "is cut", "--swap", "--yes")]
    [InlineData("head -c 20 $D > $F", 5, "pg_restore", "--swap", "--yes")]
    [InlineData("echo | age -r $(age-keygen 2>/dev/null | age-keygen -y) > $F", 7, "no identity matched", "--swap", "--yes")]
    public async Task What_the_restore_would_refuse_the_plan_refuses(string make, int exitCode, string says, params string[] how)
    {
        using var work = await DumpFiles.WorkAsync(cluster, samples);
        await work.MakeDumpAsync("file", make);
        var target = await cluster.CreateDatabaseAsync("CREATE TABLE channels AS SELECT 1::bigint AS id, '' AS name; CREATE TABLE keyless (note text)");
        string[] arguments = ["restore", "--file", "file", "--target-db", target, .. how];

        (await work.RunAsync([.. arguments, "--plan"])).Expect(exitCode).Says(says).Says("hint: ");
        (await work.RunAsync(arguments)).Expect(exitCode).Says(says);

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM channels"));
    }

    private static async Task<List<string>> StepsAsync(Workspace work, string file, string target, params string[] how)
    {
        var document = await work.JsonAsync(0, ["restore", "--file", file, "--target-db", target, "--plan", .. how]);
        Assert.Empty(document.GetProperty("plan").GetProperty("problems").EnumerateArray());
        return document.GetProperty("plan").GetProperty("steps").EnumerateArray().Select(static (JsonElement s) => s.GetString()!).ToList();
    }
}
