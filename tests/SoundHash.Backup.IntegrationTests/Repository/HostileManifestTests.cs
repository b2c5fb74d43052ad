using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Repository;

/// <summary>A manifest may be cut, of another version or written by an enemy: it is reported, and the rest still works.</summary>
public sealed class HostileManifestTests(PostgresCluster cluster, Samples samples)
{
    private const string Escape = "\u001b]0;owned\u0007\u001b[2J";

    public static TheoryData<string, string> BadTexts => new()
    {
        { "empty", string.Empty },
        { "cut", "{\"formatVersion\": 1, \"id\": \"x\"" },
        { "no JSON", "PGDMP" },
        { "null", "null" },
        { "an array", "[]" },
        { "no version", "{}" },
        { "a version in words", "{\"formatVersion\": \"one\"}" },
        { "a version that is no whole number", "{\"formatVersion\": 1.5}" },
        { "a version beyond all numbers", "{\"formatVersion\": 1e99}" },
        { "deep nesting", string.Concat(Enumerable.Repeat("[", 100_000)) },
        { "bytes that are no UTF-8", "{\"formatVersion\": 1, \"id\": \"\ud800\"}" },
    };

    public static TheoryData<string> BadFields =>
    [
        "another set's id", "no objects", "a null object", "a path as object name", "its own manifest as object", "an object twice",
        "a negative size", "sizes beyond all numbers", "no hash", "an end before its start", "a start at the end of time", "no database",
        "an unknown kind", "a kind as number", "null recipients",
    ];

    [Theory]
    [MemberData(nameof(BadTexts))]
    public async Task A_manifest_that_is_none_is_reported_and_the_other_sets_are_shown(string what, string text)
    {
        using var sample = await TwoSetsAsync();
        await File.WriteAllTextAsync(sample.Edit().ManifestPath, text, TestContext.Current.CancellationToken);

        await AssertReportedAsync(sample, what);
    }

    [Theory]
    [MemberData(nameof(BadFields))]
    public async Task A_manifest_with_impossible_fields_is_reported_and_the_other_sets_are_shown(string what)
    {
        using var sample = await TwoSetsAsync();
        var edit = sample.Edit();
        Spoil(edit.Manifest, what);
        edit.SaveManifest();

        await AssertReportedAsync(sample, what);
    }

    [Fact]
    public async Task A_newer_format_says_which_version_is_needed()
    {
        using var sample = await TwoSetsAsync();
        var edit = sample.Edit();
        edit.Manifest["formatVersion"] = 2;
        edit.SaveManifest();

        (await sample.Work.RunAsync("backup", "list")).Expect(8).Says("format version 2").Says(sample.Id);
        (await sample.Work.RunAsync(
            "restore",
            "--backup",
            sample.Id,
            "--target-db",
            RestoreHelp.NewName())).Expect(8).Says("use a shbackup that reads format version 2");
    }

    [Fact]
    public async Task A_manifest_larger_than_any_real_one_is_not_read()
    {
        using var sample = await TwoSetsAsync();
        var edit = sample.Edit();
        edit.Manifest["padding"] = new string('x', 17 * 1024 * 1024);
        edit.SaveManifest();

        await AssertReportedAsync(sample, "too large");
    }

    [Fact]
    public async Task Fields_of_a_later_version_are_kept_and_shown()
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        edit.Manifest["futureField"] = "kept";
        edit.SaveManifest();

        var document = await sample.Work.JsonAsync(0, "backup", "show", sample.Id);

        Assert.Equal("kept", document.GetProperty("manifest").GetProperty("futureField").GetString());
    }

    [Fact]
    public async Task Latest_does_not_choose_while_a_manifest_can_not_be_read()
    {
        using var sample = await TwoSetsAsync();
        await File.WriteAllTextAsync(sample.Edit().ManifestPath, "{", TestContext.Current.CancellationToken);

        (await sample.Work.RunAsync("restore", "--latest", "--database", Samples.SmallDatabase, "--target-db", RestoreHelp.NewName()))
            .Expect(8).Says("newest set can't be told").Says("--backup ID");
    }

    [Fact]
    public async Task Control_characters_of_a_manifest_never_reach_the_terminal()
    {
        using var sample = await TwoSetsAsync();
        var edit = sample.Edit();
        edit.Manifest["database"] = $"db{Escape}";
        edit.Manifest["systemIdentifier"] = $"7{Escape}";
        edit.Manifest["serverVersion"] = $"15{Escape}";
        edit.Object("dump")["recipients"] = new JsonArray($"age1{Escape}");
        edit.SaveManifest();
        foreach (var system in new[] { $"8{Escape}", "9" })
        {
            var copy = ListTests.CopySet(sample, $"copy_{system[..1]}", SetEditor.Now);
            copy.Manifest["database"] = "two_clusters";
            copy.Manifest["systemIdentifier"] = system;
            copy.SaveManifest();
        }

        await new SetEditor(sample.Work.SetFolder("copy_9")).ChangeContentsAsync(static c => c["tables"]![0]!["name"] = $"t{Escape}");
        string[][] commands =
        [
            ["backup", "list"],
            ["backup", "list", "--json"],
            ["backup", "show", sample.Id],
            ["backup", "show", sample.Id, "--json"],
            ["backup", "verify", "--all"],
            ["backup", "expire", "--dry-run"],
            ["restore", "--list"],
            ["restore", "--backup", sample.Id, "--plan"],
            ["restore", "--latest", "--all-databases", "--plan"],
            ["restore", "--backup", sample.Id, "--schema-only"],
            ["restore", "--backup", sample.Id],
            ["restore", "--latest", "--database", "two_clusters"],
            ["backup", "verify", "copy_9", "--deep"], ["restore", "--backup", "copy_9", "--target-db", RestoreHelp.NewName()],
        ];
        foreach (var command in commands)
        {
            var result = await sample.Work.RunAsync(command);
            Assert.False(
                (result.Output + result.Error).Any(static c => char.IsControl(c) && c is not ('\n' or '\r')),
                $"{string.Join(' ', command)}: {result}");
        }

        await cluster.ExecuteAsync("postgres", $"DROP DATABASE IF EXISTS \"db{Escape}\"");
    }

    [Fact]
    public async Task Control_characters_in_an_unreadable_manifest_never_reach_the_terminal()
    {
        using var sample = await TwoSetsAsync();
        var edit = sample.Edit();
        edit.Manifest["kind"] = Escape;
        edit.Manifest[Escape] = 1;
        edit.SaveManifest();
        foreach (var command in new[] { new[] { "backup", "list" }, ["backup", "verify", "--all"], ["backup", "show", sample.Id], ["restore", "--latest"] })
        {
            var result = (await sample.Work.RunAsync(command)).Expect(8);
            Assert.False(
                (result.Output + result.Error).Any(static c => char.IsControl(c) && c is not ('\n' or '\r')),
                $"{string.Join(' ', command)}: {result}");
        }
    }

    // The name of a database becomes part of no path and no statement unquoted.
    [Fact]
    public async Task A_database_name_made_to_inject_is_only_a_name()
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        const string Name = "x\"; DROP ROLE x; --' dbname=template1 ../../y";
        edit.Manifest["database"] = Name;
        edit.SaveManifest();

        (await sample.Work.RunAsync("restore", "--backup", sample.Id)).Expect(0);

        Assert.True(await cluster.DatabaseExistsAsync(Name));
        await cluster.ExecuteAsync("postgres", $"DROP DATABASE {PostgresCluster.Quote(Name)}");
    }

    private static void Spoil(JsonObject manifest, string what)
    {
        var objects = manifest["objects"]!.AsArray();
        var first = objects[0]!.AsObject();
        Action spoil = what switch
        {
            "another set's id" => () => manifest["id"] = "other_20260101_000000",
            "no objects" => objects.Clear,
            "a null object" => () => objects.Add((JsonNode?)null),
            "a path as object name" => () => first["key"] = "../../../etc/passwd",
            "its own manifest as object" => () => first["key"] = "manifest.json",
            "an object twice" => () => objects.Add(first.DeepClone()),
            "a negative size" => () => first["storedBytes"] = -1,
            "sizes beyond all numbers" => () =>
            {
                first["plainBytes"] = long.MaxValue;
                objects[1]!["plainBytes"] = long.MaxValue;
                first["storedBytes"] = long.MaxValue;
                objects[1]!["storedBytes"] = long.MaxValue;
            }
            ,
            "no hash" => () => first["storedSha256"] = "none",
            "an end before its start" => () => manifest["stopped"] = "2001-01-01T00:00:00Z",
            "a start at the end of time" => () => (
                manifest["started"],
                manifest["stopped"]) = ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            "no database" => () => manifest["database"] = null,
            "an unknown kind" => () => manifest["kind"] = "imaginary",
            "a kind as number" => () => manifest["kind"] = 0,
            "null recipients" => () => first["recipients"] = null,
            _ => throw new ArgumentOutOfRangeException(nameof(what), what, null),
        };
        spoil();
    }

    private async Task<Sample> TwoSetsAsync()
    {
        var sample = await samples.SmallAsync(cluster);
        using var other = await samples.SplitAsync(cluster);
        await Command.ShellAsync($"cp -a '{other.Folder}' '{sample.Folder}/..'");
        return sample;
    }

    private static async Task AssertReportedAsync(Sample sample, string what)
    {
        foreach (var command in new[] { new[] { "backup", "list" }, ["restore", "--list"], ["backup", "verify", "--all"] })
        {
            var result = await sample.Work.RunAsync(command);
            Assert.True(
                result.ExitCode == 8 && result.Output.Contains(
                    Samples.SplitDatabase,
                    StringComparison.Ordinal) && result.Error.Contains(sample.Id, StringComparison.Ordinal),
                $"{what}: {string.Join(' ', command)}: {result}");
        }

        var expire = (await sample.Work.RunAsync("backup", "expire")).Expect(0);
        Assert.Contains("its manifest can't be read", expire.Output, StringComparison.Ordinal);
        Assert.True(Directory.Exists(sample.Folder));
    }
}
