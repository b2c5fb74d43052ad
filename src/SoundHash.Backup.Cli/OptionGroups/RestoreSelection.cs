using System.CommandLine;
using System.CommandLine.Parsing;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options that say what to restore.</summary>
internal sealed class RestoreSelection
{
    private readonly Option<bool> _list = new("--list") { Description = "List what could be restored" };
    private readonly Option<bool> _latest = new("--latest") { Description = "The newest set of the database; with --target-dir, of the cluster" };

    private readonly Option<string?> _backup = new("--backup")
    {
        Description = "This set, by its id or the beginning of it",
        HelpName = "ID",
    };

    private readonly Option<string?> _file = new("--file")
    {
        Description = "A dump or script at any path: .dump, .sql, also .zst, .gz, .age, .gpg",
        HelpName = "PATH",
    };

    private readonly Option<string?> _database = new("--database")
    {
        Description = "With --latest: the database (default: DATABASE_NAME)",
        HelpName = "DATABASE",
    };

    private readonly Option<bool> _all = new("--all-databases") { Description = "With --latest: the newest set of every database but template1" };

    public bool List(ParseResult parse) => parse.GetValue(_list);

    public string? File(ParseResult parse) => parse.GetValue(_file);

    public bool IsFile(CommandResult result) => result.Peek(_file) is not null;

    public bool IsAll(CommandResult result) => result.Peek(_all);

    /// <summary>The set that was named, or null.</summary>
    public string? Id(ParseResult parse) => parse.GetValue(_backup);

    /// <summary>What was given that only databases have, or null.</summary>
    public string? GivenOfDatabases(CommandResult result) => new Option[] { _list, _file, _database, _all }
        .FirstOrDefault(o => result.GetResult(o) is { Implicit: false })?.Name;

    /// <param name="command">The verb.</param>
    /// <param name="isSelected">True when it is clear without these options what to restore.</param>
    public void AddTo(Command command, Func<CommandResult, bool> isSelected)
    {
        command.Options.Add(_list);
        command.Options.Add(_latest);
        command.Options.Add(_backup);
        command.Options.Add(_file);
        command.Options.Add(_database);
        command.Options.Add(_all);
        command.Validators.Add(result =>
        {
            var given = (result.Peek(_list) ? 1 : 0) + (result.Peek(_latest) ? 1 : 0)
                + (result.Peek(_backup) is null ? 0 : 1) + (result.Peek(_file) is null ? 0 : 1);
            if (isSelected(result))
            {
                if (given > 1)
                {
                    result.AddError("--latest and --backup exclude each other");
                }
            }
            else if (given != 1)
            {
                result.AddError("say what to restore: one of --list, --latest, --backup ID, --file PATH; or --target-dir DIR for a physical set");
            }
            else if (!result.Peek(_latest) && (result.Peek(_all) || result.Peek(_database) is not null))
            {
                result.AddError("--database and --all-databases go with --latest");
            }
            else if (result.Peek(_all) && result.Peek(_database) is not null)
            {
                result.AddError("--database and --all-databases exclude each other");
            }
        });
    }

    /// <summary>The sets that were asked for.</summary>
    public IReadOnlyList<Manifest> Choose(
        ParseResult parse, Catalogue catalogue, string configuredDatabase, RepositoryConfiguration repository, Action<string> warn)
    {
        if (parse.GetValue(_backup) is { } id)
        {
            return [catalogue.Find(id) is { Kind: SetKind.Physical } physical ? throw IsPhysical(physical) : catalogue.Find(id)];
        }

        if (!parse.GetValue(_all))
        {
            return [Latest(catalogue, parse.GetValue(_database) ?? configuredDatabase, repository, warn)];
        }

        var databases = catalogue.Sets.Select(static s => s.Manifest).OfType<Manifest>()
            .Where(static m => m.Kind == SetKind.Logical).Select(static m => m.Database).Distinct().Order(StringComparer.Ordinal).ToList();
        if (databases.Remove("template1"))
        {
            warn("the set of template1 is left out, since what it has would be in every new database: --database template1 --target-db NAME restores it beside");
        }

        return databases.Count > 0
            ? databases.ConvertAll(d => catalogue.Latest(d, warn))
            : throw new BackupException(ErrorKind.Failed, $"there are no sets of databases that can be used in {SetListing.Place(repository)}", "shbackup backup list shows what there is");
    }

    // Of a mistyped BACKUP_DIR, only the place itself tells.
    private static Manifest Latest(Catalogue catalogue, string database, RepositoryConfiguration repository, Action<string> warn)
    {
        try
        {
            return catalogue.Latest(database, warn);
        }
        catch (BackupException e) when (e.Kind == ErrorKind.Failed)
        {
            throw new BackupException(e.Kind, $"{e.Message} in {SetListing.Place(repository)}", e.Hint, e);
        }
    }

    private static BackupException IsPhysical(Manifest set) => new(
        ErrorKind.Usage,
        $"set {set.Id} is a physical one: it holds a whole cluster, and is restored into a data directory",
        $"shbackup restore --backup {set.Id} --target-dir DIR");
}
