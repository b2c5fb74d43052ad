using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using SoundHash.Backup.Cli.Commands;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli;

/// <summary>The command line: its verbs, and the one place where errors become words and exit codes.</summary>
internal static class ShbackupApplication
{
    // More than the grace of a child program (10 s), so that it is ended and half objects are removed before we go.
    private static readonly TimeSpan Termination = TimeSpan.FromSeconds(40);

    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error)
    {
        var common = new CommonOptions();
        var root = Root(common);
        var parse = root.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        if (parse.Action is ParseErrorAction)
        {
            return await UsageErrorAsync(parse, error);
        }

        var configuration = new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = Termination,
            Output = output,
            Error = error,
        };
        return await parse.InvokeAsync(configuration);
    }

    private static RootCommand Root(CommonOptions common)
    {
        var root = new RootCommand("Backs up PostgreSQL, proves that the backups restore, and brings a lost database back.")
        {
            new BackupCommand(common),
            new RestoreCommand(common),
            new EncryptCommand(common),
            new DecryptCommand(common),
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

    private static async Task<int> UsageErrorAsync(ParseResult parse, TextWriter error)
    {
        await error.WriteLineAsync($"error: {string.Join("; ", parse.Errors.Select(static e => e.Message))}");
        var path = new List<string>();
        for (System.CommandLine.Parsing.SymbolResult? at = parse.CommandResult; at is System.CommandLine.Parsing.CommandResult command; at = at.Parent)
        {
            path.Insert(0, command.Command is RootCommand ? "shbackup" : command.Command.Name);
        }

        await error.WriteLineAsync($"hint: {string.Join(' ', path)} --help");
        return ExitCodes.For(ErrorKind.Usage);
    }
}
