using System.CommandLine;
using System.CommandLine.Parsing;
using Serilog;
using SoundHash.Backup.Backups;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options that say which databases to back up.</summary>
internal sealed class BackupSelection
{
    private readonly Option<string[]> _database = new("--database")
    {
        Description = "Database to back up; may be repeated (default: DATABASE_NAME)",
        HelpName = "DATABASE",
    };

    private readonly Option<bool> _all = new("--all-databases")
    {
        Description = "Back up every database that allows connections, templates too, each into its own set; template1 when it has objects",
    };

    private readonly Option<string[]> _exclude = new("--exclude-database")
    {
        Description = "Leave this one out of --all-databases; may be repeated",
        HelpName = "DATABASE",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(_database);
        command.Options.Add(_all);
        command.Options.Add(_exclude);
        command.Validators.Add(result =>
        {
            if (result.Peek(_all) && result.Peek(_database) is { Length: > 0 })
            {
                result.AddError("--database and --all-databases exclude each other");
            }

            if (!result.Peek(_all) && result.Peek(_exclude) is { Length: > 0 })
            {
                result.AddError("--exclude-database needs --all-databases");
            }
        });
    }

    /// <summary>True when databases were chosen.</summary>
    public bool IsGiven(CommandResult result) => result.Peek(_all)
        || result.Peek(_database) is { Length: > 0 } || result.Peek(_exclude) is { Length: > 0 };

    /// <summary>The databases that were asked for; asks the server for all of them.</summary>
    public async Task<IReadOnlyList<string>> DatabasesAsync(ParseResult parse, ConnectionSettings server, ILogger log, CancellationToken cancel)
    {
        if (parse.GetValue(_all))
        {
            return await BackupRun.ListDatabasesAsync(server, parse.GetValue(_exclude) ?? [], log, cancel);
        }

        return parse.GetValue(_database) is { Length: > 0 } named ? named.Distinct().ToList() : [server.Database];
    }
}
