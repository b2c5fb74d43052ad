using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>A verb: its options are its fields, and <see cref="RunAsync"/> says what it does.</summary>
internal abstract class VerbCommand : Command
{
    // What can happen to every verb.
    private static readonly ErrorKind[] Common = [ErrorKind.Failed, ErrorKind.Usage, ErrorKind.Configuration, ErrorKind.Cancelled];

    protected VerbCommand(string name, string description, CommonOptions common)
        : base(name, description) => SetAction(async (parse, cancel) => ExitWith(await InvokeAsync(parse, common, cancel)));

    /// <summary>Command lines that the help shows and a test runs through the parser.</summary>
    public abstract IReadOnlyList<string> Examples { get; }

    /// <summary>How it can fail, besides the ways of every verb.</summary>
    public abstract IReadOnlyList<ErrorKind> Failures { get; }

    /// <summary>What the process can end with, for the help.</summary>
    public virtual IEnumerable<ExitCode> Exits =>
        ExitCodes.All.Where(e => e.Kind is not { } kind || Common.Contains(kind) || Failures.Contains(kind));

    /// <summary>The code that the process ends with: another one where PostgreSQL gives codes a meaning of its own.</summary>
    public virtual int ExitWith(int code) => code;

    /// <summary>Does what the verb is for and returns the exit code; errors are thrown.</summary>
    protected abstract Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel);

    // Where the error of a verb that fails as a whole becomes words and an exit code.
    private async Task<int> InvokeAsync(ParseResult parse, CommonOptions common, CancellationToken cancel)
    {
        // System.CommandLine 2.0 registers its signal handlers only after the action has begun.
        await Task.Yield();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var hangUp = HangUp.CancelOn(stop);
        using var cli = new CliSession(parse, common);
        try
        {
            cli.EnsureLogFile();
            return await RunAsync(parse, cli, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return cli.Report(new BackupException(ErrorKind.Cancelled, "cancelled; what was not finished has been undone"));
        }
        catch (BackupException e)
        {
            return stop.IsCancellationRequested && e.Kind != ErrorKind.Cancelled
                ? cli.Report(new BackupException(ErrorKind.Cancelled, $"cancelled ({e.Message})", inner: e))
                : cli.Report(e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return cli.Report(new BackupException(ErrorKind.Failed, e.Message, inner: e));
        }
#pragma warning disable CA1031 // the last resort: an error of the program itself still ends in one line and code 1
        catch (Exception e)
#pragma warning restore CA1031
        {
            return cli.Report(new BackupException(
                ErrorKind.Failed,
                $"internal error: {e.GetType().Name}: {e.Message}",
                "run again with --log-level debug and report the stack",
                e));
        }
    }
}
