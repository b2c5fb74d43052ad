using System.Text.RegularExpressions;

namespace SoundHash.Backup.UnitTests;

/// <summary>The arrows between the folders of Core point one way (docs/architecture.md).</summary>
public sealed partial class ArchitectureTests
{
    private const string BelowRepository = "Errors Processes Pipelines Storage Encryption Postgres";

    private static readonly Dictionary<string, string> Allowed = new()
    {
        ["Errors"] = "",
        ["Processes"] = "Errors",
        ["Pipelines"] = "Errors Processes",
        ["Storage"] = "Errors Pipelines",
        ["Encryption"] = "Errors Processes Pipelines Storage",
        ["Postgres"] = "Errors Processes Pipelines",
        ["Repository"] = BelowRepository,
        ["Configuration"] = $"{BelowRepository} Repository",
        ["Backups"] = $"{BelowRepository} Repository",
        ["Restores"] = $"{BelowRepository} Repository",
        ["Wal"] = $"{BelowRepository} Repository",
    };

    public static TheoryData<string> Folders => [.. Directory.GetDirectories(Core()).Select(
        static d => Path.GetFileName(d)!).Where(static d => d is not ("bin" or "obj"))];

    [Theory]
    [MemberData(nameof(Folders))]
    public void A_folder_of_Core_uses_only_those_below_it(string folder)
    {
        Assert.True(Allowed.TryGetValue(folder, out var allowed), $"the new folder {folder} needs its place in this list");
        var known = allowed.Split(' ').Append(folder).ToHashSet();
        foreach (var file in Directory.GetFiles(Path.Combine(Core(), folder), "*.cs", SearchOption.AllDirectories))
        {
            var strangers = NamespacesIn(File.ReadAllText(file)).Where(f => !known.Contains(f)).Distinct().ToList();
            Assert.True(strangers.Count == 0, $"{Path.GetFileName(file)} in {folder} uses {string.Join(", ", strangers)}");
        }
    }

    // Folders named in full or, as their common namespace allows, in part: Errors.BackupException. What follows a dot is a member.
    [Theory]
    [InlineData("using SoundHash.Backup.Errors;", "Errors")]
    [InlineData("using static SoundHash.Backup.Errors.Kinds;", "Errors")]
    [InlineData("throw new Errors.BackupException();", "Errors")]
    [InlineData("var set = SoundHash.Backup.Repository.SetId.Make();", "Repository")]
    [InlineData("var method = setup.Encryption.Method;", "")]
    [InlineData("// what Storage.Local says", "")]
    public void The_namespaces_that_a_file_names_are_found(string line, string folders) =>
        Assert.Equal(folders, string.Join(' ', NamespacesIn(line)));

    private static IEnumerable<string> NamespacesIn(string source) =>
        source.Split('\n').Where(static l => !l.TrimStart().StartsWith("//", StringComparison.Ordinal))
            .SelectMany(static l => QualifiedName().Matches(l))
            .Select(static m => m.Groups["folder"].Value)
            .Where(Allowed.ContainsKey);

    private static string Core()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "SoundHash.Backup.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return Path.Combine(folder, "src", "SoundHash.Backup.Core");
    }

    [GeneratedRegex(@"SoundHash\.Backup\.(?<folder>\w+)|(?<![\w.])(?<folder>[A-Z]\w+)\.[A-Z]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex QualifiedName();
}
