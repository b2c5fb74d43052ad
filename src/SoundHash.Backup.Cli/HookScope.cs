using System.Globalization;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Cli;

/// <summary>Runs a verb between the user's hooks. The post hook runs whatever happened, and learns the exit code.</summary>
internal sealed class HookScope
{
    private readonly CliSession _cli;
    private readonly string _verb;
    private readonly Hook _hook;
    private readonly (string Setting, string? Command) _pre;
    private readonly (string Setting, string? Command) _post;

    /// <param name="cli">Where to report.</param>
    /// <param name="settings">The settings, asked at once for both hooks.</param>
    /// <param name="verb">"backup" or "restore".</param>
    public HookScope(CliSession cli, SettingsReader settings, string verb)
    {
        _cli = cli;
        _verb = verb;
        _hook = new Hook(cli.Launcher, cli.Log);
        (string, string?) Read(string name) => (name, settings.Text(name));
        _pre = Read($"BACKUP_HOOK_PRE_{verb.ToUpperInvariant()}");
        _post = Read($"BACKUP_HOOK_POST_{verb.ToUpperInvariant()}");
    }

    /// <summary>Runs a verb between the hooks.</summary>
    /// <param name="facts">What the hooks are told, besides the verb and its exit code.</param>
    /// <param name="body">The verb.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<int> RunAsync(IEnumerable<(string Name, string Value)> facts, Func<Task<int>> body, CancellationToken cancel)
    {
        var told = facts.Append(("VERB", _verb)).ToDictionary(static f => f.Item1, static f => f.Item2);
        await _hook.RunAsync(_pre.Command, _pre.Setting, told, cancel);
        int code;
        try
        {
            code = await body();
        }
        catch (Exception e)
        {
            await TryPostAsync(told, KindOf(e, cancel));
            throw;
        }

        told["EXIT_CODE"] = code.ToString(CultureInfo.InvariantCulture);
        // As after a verb that throws: the hook learns of a cancelled verb too, and runs to its end.
        var stop = cancel.IsCancellationRequested ? CancellationToken.None : cancel;
        try
        {
            await _hook.RunAsync(_post.Command, _post.Setting, told, stop);
            return code;
        }
        catch (Exception e) when (stop.IsCancellationRequested && e is BackupException or OperationCanceledException)
        {
            // Not thrown, here and below: the result of the verb is a result all the same, and is printed once.
            _cli.ReportLines(CancelledAfter(code, e));
            return ExitCodes.Worst([code, ExitCodes.For(ErrorKind.Cancelled)]);
        }
        catch (BackupException e)
        {
            _cli.ReportLines(e);
            return ExitCodes.Worst([code, ExitCodes.For(e.Kind)]);
        }
    }

    private BackupException CancelledAfter(int code, Exception e)
    {
        var verb = code == ExitCodes.Success ? $"the {_verb} was done" : $"the {_verb} had ended with exit code {code}";
        return new BackupException(
            ErrorKind.Cancelled,
            $"cancelled: {verb}; only {_post.Setting}, which ran after it, was stopped",
            "see what the hook has left, and run it by hand when it is needed",
            e);
    }

    private static ErrorKind KindOf(Exception e, CancellationToken cancel) => e switch
    {
        _ when cancel.IsCancellationRequested => ErrorKind.Cancelled,
        BackupException known => known.Kind,
        _ => ErrorKind.Failed,
    };

    // The verb's own failure is the one to report; that of the hook after it is only logged.
    private async Task TryPostAsync(Dictionary<string, string> told, ErrorKind kind)
    {
        told["EXIT_CODE"] = ExitCodes.For(kind).ToString(CultureInfo.InvariantCulture);
        try
        {
            await _hook.RunAsync(_post.Command, _post.Setting, told, CancellationToken.None);
        }
        catch (BackupException e)
        {
            _cli.Log.Error("{Message:l}", e.Message);
        }
    }
}
