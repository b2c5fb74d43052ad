using System.Text.RegularExpressions;
using SoundHash.Backup.Configuration;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>docs/configuration.md and .env.example have the settings that the code has.</summary>
public sealed partial class DocumentedSettingsTests
{
    private static readonly string Documentation = SourceTree.Read("docs", "configuration.md");

    [Fact]
    public void Every_setting_is_documented_and_every_documented_one_is_read()
    {
        Assert.Equal(SettingNames.All.Select(static s => s.Name), Rows().SelectMany(static r => r.Names));
    }

    [Fact]
    public void The_documented_defaults_are_those_of_the_code()
    {
        Assert.All(
            SettingNames.All.Where(static s => s.Default is not null),
            static s => Assert.Contains($"`{s.Default}`", Rows().Single(r => r.Names.Contains(s.Name)).Default, StringComparison.Ordinal));
        Assert.All(Rows(), static r => Assert.False(string.IsNullOrWhiteSpace(r.Default)));
    }

    [Fact]
    public void Every_name_that_is_ignored_in_silence_is_documented_as_that()
    {
        var paragraph = Documentation.Split("\n\n").Single(static p => p.StartsWith("Known and not used", StringComparison.Ordinal));

        var names = Name().Matches(paragraph).Select(static m => m.Value)
            .Where(static n => n.StartsWith("BACKUP_", StringComparison.Ordinal));
        Assert.Equal(SettingNames.Later, names);
    }

    [Fact]
    public void The_example_file_has_known_settings_only()
    {
        var names = SourceTree.Read(".env.example").Split('\n')
            .Select(static l => Assignment().Match(l)).Where(static m => m.Success).Select(static m => m.Groups["name"].Value).ToList();

        Assert.True(names.Count > 10);
        var secrets = SettingNames.All.Where(static s => s.Secret).Select(static s => $"{s.Name}_FILE");
        // Further stores have names that their owner gives, and the clouds' libraries variables of their own.
        Assert.Empty(names.Except(SettingNames.All.Select(static s => s.Name)).Except(secrets).Where(static n => SettingNames.FurtherStoreOf(n) is null)
            .Except(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS"]));
    }

    // | `NAME`, `NAME` | meaning | default |
    private static IEnumerable<(IReadOnlyList<string> Names, string Default)> Rows() =>
        Documentation.Split('\n').Where(static l => l.StartsWith("| `", StringComparison.Ordinal))
            .Select(static l => l.Split('|'))
            .Select(static c => ((IReadOnlyList<string>)Name().Matches(c[1]).Select(static m => m.Value).ToList(), c[^2]));

    [GeneratedRegex("[A-Z][A-Z0-9_]+", RegexOptions.None, 1000)]
    private static partial Regex Name();

    [GeneratedRegex("^#?(?<name>[A-Z][A-Z0-9_]+)=", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Assignment();
}
