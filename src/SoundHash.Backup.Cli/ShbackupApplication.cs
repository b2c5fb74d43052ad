using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using SoundHash.Backup.Cli.Commands;
using SoundHash.Backup.Cli.Commands.WalArchive;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli;

/// <summary>The command line: its verbs, and what becomes of one that can't be understood.</summary>
internal static class ShbackupApplication
{
    // More than the grace of a child program (10 s), so that it is ended and half objects are removed before we go.
    private static readonly TimeSpan Termination = TimeSpan.FromSeconds(40);

    private static readonly ParserConfiguration Parsing = new() { EnablePosixBundling = false, ResponseFileTokenReplacer = null };

    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error)
    {
        try
        {
            return await InvokeAsync(args, output, error);
        }
#pragma warning disable CA1031 // the last resort: what no verb has caught is one line and an exit code too, and no abort
        catch (Exception e)
#pragma warning restore CA1031
        {
            var problem = LastResort(e);
            Report(problem, args, output, error);
            var code = ExitCodes.For(problem.Kind);
            return FetchExitCode.IsMeantBy(args) ? FetchExitCode.For(code, Directory.GetCurrentDirectory()) : code;
        }
    }

    // Help and version are no verbs, and fail where nobody reads them.
    private static BackupException LastResort(Exception e) => e is IOException or UnauthorizedAccessException
        ? new BackupException(ErrorKind.Failed, $"could not print: {e.Message}", inner: e)
        : new BackupException(
            ErrorKind.Failed, $"internal error: {e.GetType().Name}: {e.Message}", "report the command line and this: " + e.StackTrace, e);

    private static async Task<int> InvokeAsync(string[] args, TextWriter output, TextWriter error)
    {
        var parse = Parse(args);
        var configuration = parse.InvocationConfiguration;
        configuration.EnableDefaultExceptionHandler = false;
        configuration.ProcessTerminationTimeout = Termination;
        configuration.Output = output;
        configuration.Error = error;
        var problems = Problems(parse);
        // --help and --version work beside whatever else is wrong.
        return problems.Count > 0 && parse.Action is ParseErrorAction or AsynchronousCommandLineAction
            ? UsageError(parse, problems, args)
            : await parse.InvokeAsync(configuration);
    }

    /// <summary>Parses a command line and runs nothing.</summary>
    public static ParseResult Parse(IReadOnlyList<string> args) => Root().Parse(args, Parsing);

    /// <summary>What is wrong with a command line, in words of one line each.</summary>
    public static IReadOnlyList<string> Problems(ParseResult parse)
    {
        var commands = new List<CommandResult>();
        for (SymbolResult? at = parse.CommandResult; at is CommandResult command; at = at.Parent)
        {
            commands.Add(command);
        }

        // The parser takes "--name --dry-run" for a set with the name "--dry-run", and the dry run for a real one.
        var options = commands.SelectMany(static c => c.Command.Options).SelectMany(static o => o.Aliases.Append(o.Name)).ToHashSet();
        var swallowed = commands.SelectMany(static c => c.Children.OfType<OptionResult>())
            .SelectMany(o => o.Tokens.Where(t => options.Contains(t.Value)).Select(t => $"{o.Option.Name} needs a value before {t.Value}"));
        // And "verify --dep" for the set "--dep". What really begins so comes after "--".
        var unknown = parse.Tokens.Any(static t => t.Type == TokenType.DoubleDash) ? [] : commands
            .SelectMany(static c => c.Children.OfType<ArgumentResult>()).SelectMany(static a => a.Tokens)
            .Where(static t => t.Value.StartsWith("--", StringComparison.Ordinal)).Select(static t => $"there is no option {t.Value}");
        return
        [
            .. parse.Errors.Select(e => Words(e) + Meant(parse, Words(e), options)),
            .. swallowed,
            .. unknown.Select(u => u + Meant(parse, u, options)),
            .. commands.SelectMany(static c => c.Children).SelectMany(Empty),
        ];
    }

    private static string Words(ParseError error) => ErrorReport.OneLine(error.Message).TrimEnd('.');

    // Said beside the problem that names the word; the parser's own suggestions come with its own way to print errors only.
    private static string Meant(ParseResult parse, string problem, IReadOnlyCollection<string> options)
    {
        var mistyped = parse.UnmatchedTokens.Concat(parse.Tokens.Where(static t => t.Type == TokenType.Argument).Select(static t => t.Value))
            .Select(static w => w.Split('=')[0])
            .FirstOrDefault(w => problem.EndsWith($" {w}", StringComparison.Ordinal) || problem.Contains($"'{w}'", StringComparison.Ordinal)
                || problem.Contains($"'{w}=", StringComparison.Ordinal));
        if (mistyped is null or "")
        {
            return string.Empty;
        }

        var known = mistyped.StartsWith('-') ? options : parse.CommandResult.Command.Subcommands.Where(static c => !c.Hidden).Select(static c => c.Name);
        return Suggestion.For(mistyped, known) is { } meant ? $" (did you mean {meant}?)" : string.Empty;
    }

    // Of a variable that is not set: "--database $NAME" would be the default database, and an empty id the beginning of every one.
    private static IEnumerable<string> Empty(SymbolResult given)
    {
        var name = given switch
        {
            OptionResult option => option.Option.Name,
            ArgumentResult argument => argument.Argument.Name,
            _ => null,
        };
        var empty = given.Tokens.Where(static t => string.IsNullOrWhiteSpace(t.Value));
        return name is null ? [] : empty.Select(_ => $"the value of {name} is empty");
    }

    /// <summary>The command line with all its verbs.</summary>
    public static RootCommand Root()
    {
        var common = new CommonOptions();
        var root = new RootCommand("Backs up PostgreSQL, proves that the backups restore, and brings a lost database back.")
        {
            new BackupCommand(common),
            new RestoreCommand(common),
            new EncryptCommand(common),
            new DecryptCommand(common),
            new WalArchiveCommand(common),
        };
        common.AddTo(root);
        foreach (var option in root.Options)
        {
            if (option is HelpOption help)
            {
                help.Action = new HelpWithFooter((HelpAction)help.Action!);
            }
            else if (option is VersionOption version)
            {
                version.Action = new PrintVersion();
            }
        }

        return root;
    }

    private static int UsageError(ParseResult parse, IReadOnlyList<string> problems, IReadOnlyList<string> args)
    {
        var path = new List<string>();
        for (SymbolResult? at = parse.CommandResult; at is CommandResult command; at = at.Parent)
        {
            path.Insert(0, command.Command is RootCommand ? "shbackup" : command.Command.Name);
        }

        var streams = parse.InvocationConfiguration;
        var error = new BackupException(ErrorKind.Usage, string.Join("; ", problems), $"{string.Join(' ', path)} --help");
        Report(error, args, streams.Output, streams.Error);
        var code = ExitCodes.For(error.Kind);
        return parse.CommandResult.Command switch
        {
            VerbCommand verb => verb.ExitWith(code),
            _ when FetchExitCode.IsMeantBy(args) => FetchExitCode.For(code, Directory.GetCurrentDirectory()),
            _ => code,
        };
    }

    // Looked for in the words themselves: of what can't be parsed, --json may be a part.
    private static void Report(BackupException problem, IReadOnlyList<string> args, TextWriter output, TextWriter error) =>
        new Terminal(output, error, noColor: true).Report(problem, args.Contains("--json"));
}
