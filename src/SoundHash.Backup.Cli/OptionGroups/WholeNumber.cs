using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options that take a number and say so in plain words when they get something else.</summary>
internal static class WholeNumber
{
    /// <summary>--jobs, of the verbs that do several things at once.</summary>
    public static Option<int?> Jobs(string what) =>
        Option("--jobs", "N", $"{what} (default: BACKUP_JOBS, else the cores, at most 4)", "-j");

    /// <summary>An option with a whole number from 0 up.</summary>
    public static Option<int?> Option(string name, string unit, string description, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = unit,
        CustomParser = Parse,
    };

    private static int? Parse(ArgumentResult result)
    {
        var text = result.Tokens.Count > 0 ? result.Tokens[^1].Value : string.Empty;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        result.AddError($"{(result.Parent as OptionResult)?.Option.Name} takes a whole number, not '{text}'");
        return null;
    }
}
