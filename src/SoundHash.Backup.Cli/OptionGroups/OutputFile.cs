using System.CommandLine;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options that say which file to make.</summary>
internal sealed class OutputFile
{
    private readonly Option<string?> _output;
    private readonly Option<bool> _force = new("--force") { Description = "Replace an existing output" };

    public OutputFile(string byDefault) => _output = new("--output", "-o")
    {
        Description = $"The file to make (default: {byDefault})",
        HelpName = "FILE",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(_output);
        command.Options.Add(_force);
    }

    /// <summary>The absolute path, or null where none was given.</summary>
    public string? PathOf(ParseResult parse) => parse.GetValue(_output) is { } given ? Path.GetFullPath(given) : null;

    public bool MayReplace(ParseResult parse) => parse.GetValue(_force);
}
