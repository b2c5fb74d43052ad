using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using SoundHash.Backup.Cli.Commands;
using SoundHash.Backup.Cli.Commands.WalArchive;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli;

/// <summary>The usual help, followed by the verb's examples and exit codes.</summary>
internal sealed class HelpWithFooter(HelpAction help) : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        help.MaxWidth = 140;
        var code = help.Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        switch (parseResult.CommandResult.Command)
        {
            case VerbCommand verb:
                Print(output, verb.Examples, verb.Exits);
                break;
            case WalArchiveCommand:
                Print(output, WalArchiveCommand.Examples, ExitCodes.All);
                output.WriteLine("  fetch, which PostgreSQL runs, ends with codes of its own: shbackup wal-archive fetch --help");
                break;
        }

        return code;
    }

    private static void Print(TextWriter output, IEnumerable<string> examples, IEnumerable<ExitCode> exits)
    {
        output.WriteLine("Examples:");
        foreach (var example in examples)
        {
            output.WriteLine($"  {example}");
        }

        output.WriteLine();
        output.WriteLine("Exit codes:");
        foreach (var exit in exits)
        {
            output.WriteLine($"  {exit.Code,3}  {exit.Meaning}");
        }
    }
}

/// <summary>shbackup --version</summary>
internal sealed class PrintVersion : SynchronousCommandLineAction
{
    /// <summary>The version with its commit, as the build recorded it.</summary>
    public static string Version { get; } =
        typeof(PrintVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine($"shbackup {Version} (.NET {Environment.Version})");
        return ExitCodes.Success;
    }
}
