using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>Options of a physical restore: where to, and how far.</summary>
internal sealed partial class PhysicalTarget
{
    // MAXFNAMELEN, with its end.
    private const int MostNameBytes = 63;

    private readonly Option<string?> _targetDir = new("--target-dir")
    {
        Description = "Restore a physical set: the data directory to make",
        HelpName = "DIR",
    };

    private readonly Option<string?> _toTime = new("--to-time")
    {
        Description = "Recover to a time, with its zone: '2026-11-22 14:30:00Z', '2026-11-22 15:30+01:00'",
        HelpName = "TIME",
    };

    private readonly Option<string?> _toLsn = new("--to-lsn") { Description = "Recover to a position of the WAL", HelpName = "LSN" };
    private readonly Option<string?> _toXid = new("--to-xid") { Description = "Recover to the end of a transaction", HelpName = "XID" };

    private readonly Option<string?> _toName = new("--to-name")
    {
        Description = "Recover to a restore point (pg_create_restore_point)",
        HelpName = "NAME",
    };

    private readonly Option<bool> _toImmediate = new("--to-immediate") { Description = "Recover no further than to where the set is consistent" };

    private readonly Option<bool> _exclusive = new("--exclusive")
    {
        Description = "With --to-time, --to-lsn, --to-xid: stop just before the target",
    };

    private readonly Option<int?> _timeline = WholeNumber.Option("--timeline", "N", "The timeline to follow (default: the newest that descends from the set)");

    private readonly Option<string?> _action = new("--action")
    {
        Description = "What the server does at the target: pause (default), promote, shutdown",
        HelpName = "ACTION",
    };

    private readonly Option<string[]> _tablespace = new("--tablespace")
    {
        Description = "A tablespace's new directory; OLD is its name, its oid or its old directory; may be repeated",
        HelpName = "OLD=NEW",
    };

    private readonly Option<bool> _delta = new("--delta")
    {
        Description = "Into a directory with an old copy of the cluster, or an unfinished restore: keep what is unchanged, remove the rest",
    };

    private readonly Option<bool> _start = new("--start") { Description = "Start the server, and follow it to its target" };

    private readonly Option<int?> _port = WholeNumber.Option(
        "--port", "N", "With --start: the server's port, when that of its configuration belongs to another server");

    private readonly Option<string?> _standby = new("--standby")
    {
        Description = "Make a standby of the primary with this connection string (its password belongs into a .pgpass file)",
        HelpName = "CONNINFO",
    };

    private readonly Option<bool> _keepArchiving = new("--keep-archiving") { Description = "Leave archive_mode as it was; else it is off in what is restored" };

    private Option[] Targets => [_toTime, _toLsn, _toXid, _toName, _toImmediate];

    private Option[] All => [_targetDir, .. Targets, _exclusive, _timeline, _action, _delta, _start, _port, _tablespace, _standby, _keepArchiving];

    /// <summary>True when a physical restore is asked for.</summary>
    public bool IsGiven(CommandResult result) => result.Peek(_targetDir) is not null;

    /// <inheritdoc cref="IsGiven(CommandResult)"/>
    public bool IsGiven(ParseResult parse) => IsGiven(parse.CommandResult);

    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Options.Add(option);
        }

        command.Validators.Add(result =>
        {
            if (Problem(result) is { } problem)
            {
                result.AddError(problem);
            }
        });
    }

    /// <summary>The options in their own words.</summary>
    /// <exception cref="BackupException">A value is none.</exception>
    public PhysicalRestoreOptions Read(ParseResult parse, string? setId, OwnDirectories own, string role, string? envFile, int jobs) => new()
    {
        TargetDirectory = Path.GetFullPath(parse.GetRequiredValue(_targetDir)!),
        SetId = setId,
        Target = Target(parse),
        Timeline = (uint?)parse.GetValue(_timeline),
        Action = Action(parse.GetValue(_action)) ?? RecoveryAction.Pause,
        Delta = parse.GetValue(_delta),
        Start = parse.GetValue(_start),
        Port = parse.GetValue(_port),
        Role = role,
        Tablespaces = (parse.GetValue(_tablespace) ?? []).Select(Mapping).ToList(),
        Standby = parse.GetValue(_standby),
        KeepArchiving = parse.GetValue(_keepArchiving),
        Own = own,
        Program = Environment.ProcessPath!,
        EnvironmentFile = envFile,
        Jobs = jobs,
    };

    private string? Problem(CommandResult result)
    {
        bool Has(Option option) => result.GetResult(option) is { Implicit: false };
        var targets = Targets.Where(Has).Select(static o => o.Name).ToList();
        if (All.FirstOrDefault(o => o != _targetDir && Has(o)) is { } needs && !IsGiven(result))
        {
            return $"{needs.Name} is for physical restores, which need --target-dir DIR";
        }

        if (Has(_port) && result.GetValue(_port) is < 1 or > 65535)
        {
            return "--port takes a number from 1 to 65535";
        }

        if (targets.Count > 1)
        {
            return $"{string.Join(" and ", targets)} exclude each other";
        }

        if (Has(_exclusive) && targets is not ["--to-time" or "--to-lsn" or "--to-xid"])
        {
            return "--exclusive goes with --to-time, --to-lsn or --to-xid";
        }

        if (Has(_port) && !result.GetValue(_start))
        {
            return "--port is that of the server that --start starts";
        }

        if (Has(_standby) && (targets.Count > 0 || Has(_action)))
        {
            return $"--standby follows a primary, and goes with no {(targets.Count > 0 ? "target" : "--action")}";
        }

        if (result.Peek(_standby) is { } primary && Password().IsMatch(primary))
        {
            return "--standby takes no password, which others could see: put it into the .pgpass file of the server's user";
        }

        var action = result.Peek(_action);
        return action is not null && Action(action) is null ? $"--action is pause, promote or shutdown, not '{action}'"
            : action is "pause" or "shutdown" && targets.Count == 0 ? $"--action {action} needs a target; without one the server takes writes at the end of the WAL"
            : null;
    }

    private RecoveryTarget Target(ParseResult parse)
    {
        var exclusive = parse.GetValue(_exclusive);
        if (parse.GetValue(_toTime) is { } time)
        {
            return new RecoveryTarget
            {
                Kind = RecoveryTargetKind.Time,
                Time = RecoveryTarget.ParseTime(time, TimeZoneInfo.Local),
                Exclusive = exclusive,
            };
        }

        if (parse.GetValue(_toLsn) is { } lsn)
        {
            return Lsn.TryParse(lsn, out var position)
                ? new RecoveryTarget { Kind = RecoveryTargetKind.Lsn, Lsn = position, Exclusive = exclusive }
                : throw new BackupException(ErrorKind.Usage, $"--to-lsn '{lsn}' is no LSN", "write it as PostgreSQL does: 16/B374D848");
        }

        if (parse.GetValue(_toXid) is { } xid)
        {
            return ulong.TryParse(xid, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 2
                ? new RecoveryTarget { Kind = RecoveryTargetKind.Xid, Xid = number, Exclusive = exclusive }
                : throw new BackupException(ErrorKind.Usage, $"--to-xid '{xid}' is no transaction id", "it is a number, as pg_current_xact_id() gives it");
        }

        if (parse.GetValue(_toName) is { } name)
        {
            return Encoding.UTF8.GetByteCount(name) <= MostNameBytes && !name.Any(char.IsControl)
                ? new RecoveryTarget { Kind = RecoveryTargetKind.Name, Name = name }
                : throw new BackupException(
                    ErrorKind.Usage, $"--to-name '{name}' can't be the name of a restore point", $"it has at most {MostNameBytes} bytes");
        }

        return new RecoveryTarget { Kind = parse.GetValue(_toImmediate) ? RecoveryTargetKind.Immediate : RecoveryTargetKind.End };
    }

    private static RecoveryAction? Action(string? word) =>
        Enum.GetValues<RecoveryAction>().Cast<RecoveryAction?>().FirstOrDefault(a => a!.Value.Word() == word);

    private static (string Old, string New) Mapping(string text)
    {
        var at = text.LastIndexOf('=');
        return at > 0 && at < text.Length - 1
            ? (text[..at], Path.GetFullPath(text[(at + 1)..]))
            : throw new BackupException(ErrorKind.Usage, $"--tablespace '{text}' is not of the form OLD=NEW", "shbackup restore --help");
    }

    [GeneratedRegex(@"(^|\s)(password|sslpassword)\s*=|://[^/@\s]*:[^/@\s]*@|[?&]password=", RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Password();
}
