using System.Text.RegularExpressions;

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

    [GeneratedRegex(@"\]\((?<path>[^)#]+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Link();

    [GeneratedRegex(@"\b[A-Z]\w+(/\w+)+\.cs\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SourceFile();
}
