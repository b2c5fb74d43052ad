using System.CommandLine;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options of every verb.</summary>
internal sealed class CommonOptions
{
    public Option<string?> EnvFile { get; } = new("--env-file")
    {
        Description = "Read settings from this file (default: ./.env when it is there)",
        HelpName = "FILE",
        Recursive = true,
    };

    public Option<string?> LogLevel { get; } = new("--log-level")
    {
        Description = "debug, info, warning or error (default: info)",
        HelpName = "LEVEL",
        Recursive = true,
    };

    public Option<string?> LogFile { get; } = new("--log-file")
    {
        Description = "Also log to this file, which grows",
        HelpName = "FILE",
        Recursive = true,
    };

    public Option<bool> Json { get; } = new("--json") { Description = "Print one JSON document on stdout", Recursive = true };

    public Option<bool> NoColor { get; } = new("--no-color") { Description = "No colours (also: NO_COLOR)", Recursive = true };

    public void AddTo(RootCommand root)
    {
        LogLevel.AcceptOnlyFromAmong("debug", "info", "warning", "error");
        root.Options.Add(EnvFile);
        root.Options.Add(LogLevel);
        root.Options.Add(LogFile);
        root.Options.Add(Json);
        root.Options.Add(NoColor);
    }
}
