using System.CommandLine;
using System.CommandLine.Parsing;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options that say what to restore.</summary>
internal sealed class RestoreSelection
{
    private readonly Option<bool> _list = new("--list") { Description = "List what could be restored" };
    private readonly Option<bool> _latest = new("--latest") { Description = "The newest set of the database" };

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

    private readonly Option<bool> _all = new("--all-databases") { Description = "With --latest: the newest set of every database" };

    public bool List(ParseResult parse) => parse.GetValue(_list);

    public string? File(ParseResult parse) => parse.GetValue(_file);

    public bool IsFile(CommandResult result) => result.GetValue(_file) is not null;

    public bool IsAll(CommandResult result) => result.GetValue(_all);

    public void AddTo(Command command)
    {
        command.Options.Add(_list);
        command.Options.Add(_latest);
        command.Options.Add(_backup);
        command.Options.Add(_file);
        command.Options.Add(_database);
        command.Options.Add(_all);
        command.Validators.Add(result =>
        {
            var given = (result.GetValue(_list) ? 1 : 0) + (result.GetValue(_latest) ? 1 : 0)
                + (result.GetValue(_backup) is null ? 0 : 1) + (result.GetValue(_file) is null ? 0 : 1);
            if (given != 1)
            {
                result.AddError("say what to restore: one of --list, --latest, --backup ID, --file PATH");
            }
            else if (!result.GetValue(_latest) && (result.GetValue(_all) || result.GetValue(_database) is not null))
            {
                result.AddError("--database and --all-databases go with --latest");
            }
            else if (result.GetValue(_all) && result.GetValue(_database) is not null)
            {
                result.AddError("--database and --all-databases exclude each other");
            }
        });
    }

    /// <summary>The sets that were asked for.</summary>
    public IReadOnlyList<Manifest> Choose(ParseResult parse, Catalogue catalogue, string configuredDatabase)
    {
        if (parse.GetValue(_backup) is { } id)
        {
            return [catalogue.Find(id)];
        }

        if (!parse.GetValue(_all))
        {
            return [catalogue.Latest(parse.GetValue(_database) ?? configuredDatabase)];
        }

        var databases = catalogue.Sets.Select(static s => s.Manifest).OfType<Manifest>()
            .Where(static m => m.Kind == SetKind.Logical).Select(static m => m.Database).Distinct().Order(StringComparer.Ordinal).ToList();
        return databases.Count > 0
            ? databases.ConvertAll(catalogue.Latest)
            : throw new BackupException(ErrorKind.Failed, "there are no sets", "shbackup backup list");
    }
}
