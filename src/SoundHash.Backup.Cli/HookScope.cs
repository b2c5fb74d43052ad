using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Cli;

/// <summary>Runs a verb between the user's hooks. The post hook runs whatever happened, and learns the exit code.</summary>
internal sealed class HookScope(CliSession cli, SettingsReader settings, string verb, Dictionary<string, string> facts)
{
    public async Task<int> RunAsync(Func<Task<int>> body, CancellationToken cancel)
    {
        var hook = new Hook(cli.Launcher, cli.Log);
        facts["VERB"] = verb.ToLowerInvariant();
        var pre = $"BACKUP_HOOK_PRE_{verb}";
        await hook.RunAsync(settings.Text(pre), pre, facts, cancel);
        var post = $"BACKUP_HOOK_POST_{verb}";
        int code;
        try
        {
            code = await body();
        }
        catch (Exception e)
        {
            var kind = e switch
            {
                _ when cancel.IsCancellationRequested => ErrorKind.Cancelled,
                BackupException known => known.Kind,
                _ => ErrorKind.Failed,
            };
            facts["EXIT_CODE"] = ExitCodes.For(kind).ToString(System.Globalization.CultureInfo.InvariantCulture);
            await TryPostAsync(hook, post);
            throw;
        }

        facts["EXIT_CODE"] = code.ToString(System.Globalization.CultureInfo.InvariantCulture);
        try
        {
            await hook.RunAsync(settings.Text(post), post, facts, cancel);
            return code;
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            // Not thrown: the result of the verb is a result all the same, and is printed once.
            cli.ReportLines(e);
            return ExitCodes.Worst([code, ExitCodes.For(e.Kind)]);
        }
    }

    // The verb's own failure is the one to report; that of the hook after it is only logged.
    private async Task TryPostAsync(Hook hook, string post)
    {
        try
        {
            await hook.RunAsync(settings.Text(post), post, facts, CancellationToken.None);
        }
        catch (BackupException e)
        {
            cli.Log.Error("{Message}", e.Message);
        }
    }
}
