using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using SoundHash.Backup.Cli.Commands;

namespace SoundHash.Backup.Cli;

/// <summary>The usual help, followed by the verb's examples and exit codes.</summary>
internal sealed class HelpWithFooter(HelpAction help) : SynchronousCommandLineAction
{
    private static readonly (int Code, string Meaning)[] Codes =
    [
        (0, "done, and proven"), (1, "failed for a reason without its own code"), (2, "wrong usage"), (3, "configuration"),
        (4, "a needed program is missing or too old"), (5, "a child program or the server failed"), (6, "storage"),
        (7, "encryption or decryption"), (8, "verification failed"), (9, "another run holds the lock"),
        (10, "partial: an optional copy is missing"), (130, "cancelled"),
    ];

    public override int Invoke(ParseResult parseResult)
    {
        help.MaxWidth = 140;
        var code = help.Invoke(parseResult);
        if (parseResult.CommandResult.Command is VerbCommand verb)
        {
            var output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Examples:");
            foreach (var example in verb.Examples)
            {
                output.WriteLine($"  {example}");
            }

            output.WriteLine();
            output.WriteLine("Exit codes:");
            foreach (var (number, meaning) in Codes.Where(c => c.Code is 0 or 1 or 2 or 3 or 130 || verb.ExitCodes.Contains(c.Code)))
            {
                output.WriteLine($"  {number,3}  {meaning}");
            }
        }

        return code;
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
        return 0;
    }
}
