using System.Text.RegularExpressions;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A page of the documentation, as far as tests look into it.</summary>
internal sealed partial class MarkdownPage
{
    private readonly string _prose;

    private MarkdownPage(string text)
    {
        var parts = text.Split("```");
        Assert.True(parts.Length % 2 == 1, "a fence is not closed");
        FencedLines = parts.Where(static (_, i) => i % 2 == 1).SelectMany(static b => b.Split('\n')).ToList();
        _prose = string.Concat(parts.Where(static (_, i) => i % 2 == 0));
    }

    /// <summary>All pages, by their path from the root of the source tree.</summary>
    public static IReadOnlyList<string> All { get; } = Directory
        .EnumerateFiles(Path.Combine(SourceTree.Root, "docs"), "*.md", SearchOption.AllDirectories)
        .Concat(Directory.EnumerateFiles(SourceTree.Root, "*.md"))
        .Select(static p => Path.GetRelativePath(SourceTree.Root, p))
        .Order(StringComparer.Ordinal)
        .ToList();

    /// <summary>The lines within fences.</summary>
    public IReadOnlyList<string> FencedLines { get; }

    /// <summary>What stands between backticks in the text.</summary>
    public IEnumerable<string> InlineCode => Code().Matches(_prose).Select(static m => m.Groups["code"].Value.ReplaceLineEndings(" "));

    /// <summary>Where its links lead to, in this source tree: a path, which is empty for this page itself, and a heading, or nothing.</summary>
    public IEnumerable<(string Path, string Anchor)> Links => Link().Matches(_prose)
        .Select(static m => m.Groups["target"].Value)
        .Where(static t => !t.Contains("://", StringComparison.Ordinal))
        .Select(static t => t.Split('#') is [var path, var anchor] ? (path, anchor) : (t, string.Empty));

    /// <summary>What a link to one of its headings may say, as GitHub makes it of their text.</summary>
    public IReadOnlyList<string> Anchors => Heading().Matches(_prose)
        .Select(static m => NotInAnchors().Replace(m.Groups["text"].Value.Trim().ToLowerInvariant(), string.Empty).Replace(' ', '-'))
        .GroupBy(static a => a)
        .SelectMany(static g => g.Select((a, i) => i == 0 ? a : $"{a}-{i}"))
        .ToList();

    public static MarkdownPage Read(string path) => new(SourceTree.Read(path.Split('/')));

    /// <summary>A page of this text.</summary>
    public static MarkdownPage Of(string text) => new(text);

    [GeneratedRegex("`(?<code>[^`]+)`", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Link();

    [GeneratedRegex("^#{1,6} (?<text>.+)$", RegexOptions.ExplicitCapture | RegexOptions.Multiline, 1000)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]", RegexOptions.None, 1000)]
    private static partial Regex NotInAnchors();
}
