using System.Text.RegularExpressions;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Restores;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Cli;

/// <summary>What the documentation points at is there.</summary>
public sealed partial class DocumentationTests
{
    public static TheoryData<string> Pages =>
    [
        .. Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(SourceTree.Root, "*.md"))
            .Select(static p => Path.GetRelativePath(SourceTree.Root, p)),
    ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_leads_to_a_file(string page)
    {
        var folder = Path.GetDirectoryName(Path.Combine(SourceTree.Root, page))!;
        var links = Link().Matches(SourceTree.Read(page)).Select(static m => m.Groups["path"].Value)
            .Where(static l => !l.Contains("://", StringComparison.Ordinal));

        Assert.All(links, l => Assert.True(Path.Exists(Path.Combine(folder, l)), l));
    }

    [Fact]
    public void Every_source_file_that_the_architecture_names_is_there()
    {
        var files = SourceFile().Matches(SourceTree.Read("docs", "architecture.md")).Select(static m => m.Value).Distinct().ToList();

        Assert.True(files.Count > 10);
        string[] projects = ["SoundHash.Backup.Core", "SoundHash.Backup.Cli"];
        Assert.All(files, f => Assert.True(projects.Any(p => File.Exists(Path.Combine(SourceTree.Root, "src", p, f))), f));
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
    [InlineData("one of `broken`: a set whose manifest can't be used", typeof(BrokenSet))]
    [InlineData("one of `sets` of `backup verify`", typeof(VerifiedSet))]
    [InlineData("one of `sets` of `backup expire`", typeof(ExpireItem))]
    [InlineData("one of `plans`", typeof(RestorePlan))]
    [InlineData("`result`", typeof(RestoreResult))]
    [InlineData("one of `sets` of `restore --list`", typeof(RestorableSet))]
    public void The_fields_of_every_document_of_json_are_the_documented_ones(string row, Type type)
    {
        var line = SourceTree.Read("docs", "json.md").Split('\n').Single(l => l.StartsWith($"| {row} | ", StringComparison.Ordinal));
        var documented = Code().Matches(line[(row.Length + 3)..]).Select(static m => m.Groups["name"].Value).ToList();

        // What is not written to JSON has no getter.
        var written = ResultJson.Default.GetTypeInfo(type)!.Properties.Where(static p => p.Get is not null).Select(static p => p.Name);
        Assert.Equal(written.Order(), documented.Order());
    }

    [GeneratedRegex("`(?<name>\\w+)`", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"\]\((?<path>[^)#]+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Link();

    [GeneratedRegex(@"\b[A-Z]\w+(/\w+)+\.cs\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SourceFile();
}
