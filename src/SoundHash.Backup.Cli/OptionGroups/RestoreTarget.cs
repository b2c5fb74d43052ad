using System.CommandLine;
using System.CommandLine.Parsing;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options that say where to, and how much.</summary>
internal sealed class RestoreTarget
{
    private readonly Option<string?> _targetDb = new("--target-db")
    {
        Description = "Restore into a database of this name (default: that of the set; with --file, DATABASE_NAME)",
        HelpName = "DATABASE",
    };

    private readonly Option<bool> _clean = new("--clean")
    {
        Description = "Verify the set in depth, drop the existing database, then restore; with --file, drop it when the new one is whole",
    };

    private readonly Option<bool> _swap = new("--swap")
    {
        Description = "Restore beside, compare, then swap names; the old database is kept",
    };

    private readonly Option<bool> _schemaOnly = new("--schema-only") { Description = "Definitions without rows" };
    private readonly Option<bool> _dataOnly = new("--data-only") { Description = "Rows into tables that are there and empty" };

    private readonly Option<string[]> _table = new("--table")
    {
        Description = "Only this table with its rows, without indexes, constraints, triggers and row security policies: schema.name or name, as it is, without quotes; may be repeated",
        HelpName = "TABLE",
    };

    private readonly Option<bool> _globals = new("--globals")
    {
        Description = "First make the roles and tablespaces that the server lacks",
    };

    private readonly Option<bool> _noOwner = new("--no-owner") { Description = "Everything belongs to the connecting role" };
    private readonly Option<bool> _noPrivileges = new("--no-privileges") { Description = "Do not restore rights" };

    private readonly Option<bool> _noTablespaces = new("--no-tablespaces")
    {
        Description = "Everything goes to the default tablespace",
    };

    public string? Name(ParseResult parse) => parse.GetValue(_targetDb);

    public bool IsNamed(CommandResult result) => result.Peek(_targetDb) is not null;

    /// <summary>True when something is asked for that only a set has.</summary>
    public bool NeedsSet(CommandResult result) => result.Peek(_globals);

    /// <summary>What was given of these options, or null.</summary>
    public string? Given(CommandResult result) => All.FirstOrDefault(o => result.GetResult(o) is { Implicit: false })?.Name;

    private Option[] All => [_targetDb, _clean, _swap, _schemaOnly, _dataOnly, _table, _globals, _noOwner, _noPrivileges, _noTablespaces];

    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Options.Add(option);
        }

        command.Validators.Add(result =>
        {
            var partly = result.Peek(_dataOnly) || result.Peek(_table) is { Length: > 0 };
            if (result.Peek(_clean) && result.Peek(_swap))
            {
                result.AddError("--clean and --swap exclude each other");
            }
            else if (result.Peek(_schemaOnly) && result.Peek(_dataOnly))
            {
                result.AddError("--schema-only and --data-only exclude each other");
            }
            else if (partly && (result.Peek(_clean) || result.Peek(_swap)))
            {
                result.AddError("--clean and --swap replace a whole database and go with neither --data-only nor --table");
            }
        });
    }

    public RestoreOptions Read(ParseResult parse, string target, int jobs) => new()
    {
        Target = target,
        Mode = parse.GetValue(_clean) ? TargetMode.Clean : parse.GetValue(_swap) ? TargetMode.Swap : TargetMode.Empty,
        SchemaOnly = parse.GetValue(_schemaOnly),
        DataOnly = parse.GetValue(_dataOnly),
        Tables = parse.GetValue(_table) ?? [],
        Globals = parse.GetValue(_globals),
        NoOwner = parse.GetValue(_noOwner),
        NoPrivileges = parse.GetValue(_noPrivileges),
        NoTablespaces = parse.GetValue(_noTablespaces),
        Jobs = jobs,
    };
}
