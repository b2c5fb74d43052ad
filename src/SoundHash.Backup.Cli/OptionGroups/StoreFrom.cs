using System.CommandLine;
using System.CommandLine.Parsing;
using SoundHash.Backup.Configuration;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>The option that says which store to read, when not all of them.</summary>
internal sealed class StoreFrom
{
    private readonly Option<string?> _from = new("--from")
    {
        Description = "Only this store: local, s3, gcs, or the name of a further one (default: every store that is enabled, the nearest good copy first)",
        HelpName = "STORE",
    };

    public void AddTo(Command command) => command.Options.Add(_from);

    /// <summary>The store that was named, or null.</summary>
    public string? Name(ParseResult parse) => parse.GetValue(_from);

    public string OptionName => _from.Name;

    public bool IsGiven(CommandResult result) => result.Peek(_from) is not null;

    public StoreChoice Choice(ParseResult parse) => parse.GetValue(_from) is { } name ? new StoreChoice([name]) : StoreChoice.Enabled;
}
