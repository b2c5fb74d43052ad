using System.Text.RegularExpressions;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Restores;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Cli;

/// <summary>What the documentation points at is there.</summary>
public sealed partial class DocumentationTests
{
    public static TheoryData<string> Pages => [.. MarkdownPage.All];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_leads_to_a_file_and_to_a_heading_in_it(string page)
    {
        var own = Path.Combine(SourceTree.Root, page);
        Assert.All(MarkdownPage.Read(page).Links, link =>
        {
            var path = link.Path.Length == 0 ? own : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(own)!, link.Path));
            Assert.True(Path.Exists(path), link.Path);
            if (link.Anchor.Length > 0)
            {
                Assert.Contains(link.Anchor, MarkdownPage.Read(Path.GetRelativePath(SourceTree.Root, path)).Anchors);
            }
        });
    }

    [Fact]
    public void Links_and_headings_are_read_as_a_reader_sees_them()
    {
        var page = MarkdownPage.Of(
            "# The `a.json` of it\n```\n# no heading, [no](link.md)\n```\n## Why?\n## Why?\nSee [b](b.md#x-y), [it](#why-1), [c](https://c.example/#d).\n");

        Assert.Equal(["the-ajson-of-it", "why", "why-1"], page.Anchors);
        Assert.Equal([("b.md", "x-y"), (string.Empty, "why-1")], page.Links);
    }

    [Fact]
    public void Every_source_file_that_the_architecture_names_is_there()
    {
        var files = SourceFile().Matches(SourceTree.Read("docs", "architecture.md")).Select(static m => m.Value).Distinct().ToList();

        Assert.True(files.Count > 10);
        string[] projects = ["SoundHash.Backup.Core", "SoundHash.Backup.Cli", "SoundHash.Backup.Storage.S3", "SoundHash.Backup.Storage.Gcs"];
        Assert.All(files, f => Assert.True(projects.Any(p => File.Exists(Path.Combine(SourceTree.Root, "src", p, f))), f));
    }

    [Theory]
    [InlineData("SoundHash.Backup.Core")]
    [InlineData("SoundHash.Backup.Cli")]
    public void Every_folder_of_source_is_on_the_map(string project)
    {
        var root = Path.Combine(SourceTree.Root, "src", project);
        var folders = Directory.GetFiles(root, "*.cs", SearchOption.AllDirectories)
            .Select(f => Path.GetDirectoryName(Path.GetRelativePath(root, f))!)
            .Where(static f => f.Length > 0 && f.Split('/')[0] is not ("bin" or "obj")).Distinct().ToList();
        var map = MarkdownPage.Read("docs/architecture.md").FencedLines.SelectMany(static l => Word().Matches(l).Select(static m => m.Value)).ToHashSet();

        Assert.NotEmpty(folders);
        Assert.All(folders, f => Assert.Contains(Path.GetFileName(f), map));
    }

    [Theory]
    [InlineData("any, failed as a whole", typeof(ErrorDocument))]
    [InlineData("`backup`", typeof(BackupDocument))]
    [InlineData("`backup --dry-run`", typeof(BackupPlanDocument))]
    [InlineData("`backup list`", typeof(ListDocument))]
    [InlineData("`backup show`", typeof(ShowDocument))]
    [InlineData("`backup verify`", typeof(VerifyDocument))]
    [InlineData("`backup expire`", typeof(ExpireDocument))]
    [InlineData("`backup keep`, `backup unkeep`", typeof(PinDocument))]
    [InlineData("`restore`", typeof(RestoreDocument))]
    [InlineData("`restore --plan`", typeof(PlanDocument))]
    [InlineData("`restore --target-dir`", typeof(PhysicalRestoreDocument))]
    [InlineData("`restore --target-dir --plan`", typeof(PhysicalRestorePlan))]
    [InlineData("`restore` of `restore --target-dir`", typeof(PhysicalRestoreResult))]
    [InlineData("`reached`", typeof(ReachedMoment))]
    [InlineData("`restore --list`", typeof(RestoreListDocument))]
    [InlineData("`encrypt`, `decrypt`", typeof(FileDocument))]
    [InlineData("`error`", typeof(ErrorResult))]
    [InlineData("`set`, one of `sets` of `backup list`", typeof(SetResult))]
    [InlineData("one of `broken`: a set whose manifest can't be used or is gone", typeof(BrokenSet))]
    [InlineData("one of `unfinished`: no set yet, or no more: a run writes or removes it just now, or was killed in that", typeof(UnfinishedSet))]
    [InlineData("one of `sets` of `backup verify`", typeof(VerifiedSet))]
    [InlineData("one of `sets` of `backup expire`", typeof(ExpireItem))]
    [InlineData("one of `plans`", typeof(RestorePlan))]
    [InlineData("`result`", typeof(RestoreResult))]
    [InlineData("one of `sets` of `restore --list`", typeof(RestorableSet))]
    [InlineData("`wal-archive generate-config`", typeof(ArchivingDocument))]
    [InlineData("`wal-archive list`", typeof(WalListDocument))]
    [InlineData("`wal-archive status`", typeof(WalStatusDocument))]
    [InlineData("`wal-archive verify`", typeof(WalVerifyDocument))]
    [InlineData("`wal-archive cleanup`", typeof(WalCleanupDocument))]
    [InlineData("`physical` of a set, absent in a logical one", typeof(PhysicalResult))]
    [InlineData("one of `databases` of `backup`", typeof(BackupDocumentItem))]
    [InlineData("one of `sets` of `backup replicate`", typeof(ReplicateItem))]
    [InlineData("`backup replicate`", typeof(ReplicateDocument))]
    [InlineData("one of `restores`", typeof(RestoreItem))]
    [InlineData("one of `phases`", typeof(RestorePhase))]
    [InlineData("one of `parameters`", typeof(ParameterResult))]
    [InlineData("one of `clusters` of `wal-archive list`", typeof(WalClusterResult))]
    [InlineData("one of `timelines`", typeof(WalTimelineResult))]
    [InlineData("one of `gaps`", typeof(WalGapResult))]
    [InlineData("one of `clusters` of `wal-archive status`", typeof(WalStatusResult))]
    [InlineData("`server`", typeof(WalServerResult))]
    [InlineData("one of `windows`: recovery to any moment between", typeof(WalWindowResult))]
    [InlineData("one of `clusters` of `wal-archive verify`", typeof(WalVerifyResult))]
    [InlineData("one of `clusters` of `wal-archive cleanup`", typeof(WalCleanupItem))]
    [InlineData("one of `removed`", typeof(WalRemovalItem))]
    [InlineData("one of `keptFor`", typeof(WalKeptItem))]
    public void The_fields_of_every_document_of_json_are_the_documented_ones(string row, Type type)
    {
        var line = SourceTree.Read("docs", "json.md").Split('\n').Single(l => l.StartsWith($"| {row} | ", StringComparison.Ordinal));
        var documented = Code().Matches(line[(row.Length + 3)..]).Select(static m => m.Groups["name"].Value).ToList();

        // What is not written to JSON has no getter.
        var written = ResultJson.Default.GetTypeInfo(type)!.Properties.Where(static p => p.Get is not null).Select(static p => p.Name);
        Assert.Equal(written.Order(), documented.Order());
    }

    [GeneratedRegex(@"\w+", RegexOptions.None, 1000)]
    private static partial Regex Word();

    [GeneratedRegex("`(?<name>\\w+)`", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"\b[A-Z]\w+(/\w+)+\.cs\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SourceFile();
}
