using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>A set outlives shbackup: the recipe of docs/formats.md restores it with public programs alone.</summary>
public sealed class ManualRestoreTests(PostgresCluster cluster, Samples samples)
{
    private const string Begin = "<!-- recipe: begin -->";
    private const string End = "<!-- recipe: end -->";

    [Theory]
    [InlineData("none", false)]
    [InlineData("none", true)]
    [InlineData("age", false)]
    [InlineData("age", true)]
    [InlineData("gpg", false)]
    [InlineData("gpg", true)]
    public async Task The_commands_of_the_documentation_restore_a_set_without_shbackup(string encryption, bool split)
    {
        using var sample = split ? await samples.SplitAsync(cluster, encryption) : await samples.SmallAsync(cluster, encryption);
        var target = RestoreHelp.NewName();
        var environment = sample.Work.CleanEnvironment();
        environment["PGHOST"] = cluster.Host;
        environment["PGUSER"] = "postgres";
        environment["PATH"] = $"{PostgresPrograms.Directory}:{Environment.GetEnvironmentVariable("PATH")}";
        environment["SET"] = sample.Folder;
        environment["TARGET"] = target;
        environment["IDENTITY"] = sample.Work.IdentityFile;

        await Command.ShellAsync(Recipe(), environment, sample.Work.Folder);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos JOIN channels c ON c.id = channel_id"));
        Assert.Equal("101", await cluster.TextAsync(target, "INSERT INTO channels (name) VALUES ('next') RETURNING id"));
        if (split)
        {
            Assert.Equal("110000", await cluster.TextAsync(target, "SELECT count(*) FROM audio_fingerprints"));
            Assert.Equal("2", await cluster.TextAsync(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"));
        }
    }

    [Fact]
    public async Task The_recipe_stops_at_a_damaged_object()
    {
        using var sample = await samples.SmallAsync(cluster);
        SetEditor.FlipBit(sample.Edit()[sample.Edit().Key("dump")]);
        var environment = sample.Work.CleanEnvironment();
        environment["SET"] = sample.Folder;
        environment["TARGET"] = RestoreHelp.NewName();
        environment["IDENTITY"] = "none";

        var result = await Command.RunAsync("/bin/bash", ["-euo", "pipefail", "-c", Recipe()], environment, sample.Work.Folder);

        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("database.dump.zst: FAILED", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_fingerprint_of_the_documentation_is_the_recorded_one()
    {
        using var sample = await samples.SmallAsync(cluster);
        var contents = System.Text.Json.Nodes.JsonNode.Parse(
            (await Command.ShellAsync($"zstd -dc '{sample.Edit()[sample.Edit().Key("contents")]}'")).Output)!;
        var query = Between(
            Document(),
            "<!-- fingerprint: begin -->",
            "<!-- fingerprint: end -->").Replace("schema.table", "public.videos", StringComparison.Ordinal);

        var file = Path.Combine(sample.Work.Folder, "fingerprint.sql");
        await File.WriteAllTextAsync(file, query, TestContext.Current.CancellationToken);
        var shown = await Command.RunAsync(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", cluster.Host, "-U", "postgres", "-d", Samples.SmallDatabase, "-f", file);
        var found = shown.Expect(0).Output.Trim();

        Assert.Equal((string?)TargetTests.Table(contents.AsObject(), "videos")["fingerprint"], found);
    }

    [Fact]
    public async Task Every_field_of_manifest_and_contents_is_documented()
    {
        using var sample = await samples.SplitAsync(cluster, "age");
        using var plain = await samples.SplitAsync(cluster);
        var contents = System.Text.Json.Nodes.JsonNode.Parse(
            (await Command.ShellAsync($"zstd -dc '{plain.Edit()[plain.Edit().Key("contents")]}'")).Output)!.AsObject();
        var manifest = sample.Edit().Manifest;
        var names = manifest.Select(static f => f.Key)
            .Concat(manifest["objects"]![0]!.AsObject().Select(static f => f.Key))
            .Concat(contents.Select(static f => f.Key))
            .Concat(contents["database"]!.AsObject().Select(static f => f.Key))
            .Concat(contents["tables"]!.AsArray().SelectMany(static t => t!.AsObject().Select(static f => f.Key)));

        var document = Document();

        Assert.All(names.Distinct(), name => Assert.Contains($"`{name}`", document, StringComparison.Ordinal));
    }

    private static string Recipe() => Between(Document(), Begin, End);

    private static string Between(string text, string begin, string end)
    {
        var block = text[(
            text.IndexOf(begin, StringComparison.Ordinal) + begin.Length)..text.IndexOf(end, StringComparison.Ordinal)].Trim();
        return string.Join('\n', block.Split('\n')[1..^1]);
    }

    private static string Document()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var path = Path.Combine(folder, "docs", "formats.md");
            if (File.Exists(path))
            {
                return File.ReadAllText(path);
            }
        }

        throw new FileNotFoundException("docs/formats.md is missing");
    }
}
