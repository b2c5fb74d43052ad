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
            facts["EXIT_CODE"] = (e is BackupException known ? ExitCodes.For(known.Kind) : 1).ToString(System.Globalization.CultureInfo.InvariantCulture);
            await TryPostAsync(hook, post);
            throw;
        }

        facts["EXIT_CODE"] = code.ToString(System.Globalization.CultureInfo.InvariantCulture);
        await hook.RunAsync(settings.Text(post), post, facts, cancel);
        return code;
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
