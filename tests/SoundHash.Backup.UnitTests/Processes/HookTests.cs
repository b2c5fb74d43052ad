using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>The user's own programs around a verb.</summary>
public sealed class HookTests
{
    private readonly Hook _hook = new(Children.Launcher, Logger.None);

    [Fact(Timeout = HangLimit)]
    public async Task A_hook_is_a_shell_command_and_learns_the_facts_from_variables()
    {
        using var folder = new TempFolder();
        var facts = new Dictionary<string, string> { ["DATABASES"] = "it's \"one\" $two", ["EXIT_CODE"] = "8" };

        await _hook.RunAsync($"printf '%s|%s' \"$SHBACKUP_DATABASES\" \"$SHBACKUP_EXIT_CODE\" > '{folder["facts"]}'", "BACKUP_HOOK_POST_BACKUP", facts, Cancel);

        Assert.Equal("it's \"one\" $two|8", await File.ReadAllTextAsync(folder["facts"], Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_hook_that_fails_is_told_by_the_name_of_its_setting()
    {
        var e = await Assert.ThrowsAsync<BackupException>(
            () => _hook.RunAsync("echo disk is gone >&2; exit 4", "BACKUP_HOOK_PRE_BACKUP", new Dictionary<string, string>(), Cancel));

        Assert.Equal(ErrorKind.ChildFailed, e.Kind);
        Assert.Contains("BACKUP_HOOK_PRE_BACKUP failed", e.Message, StringComparison.Ordinal);
        Assert.Contains("disk is gone", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_hook_does_nothing()
    {
        await _hook.RunAsync(null, "BACKUP_HOOK_PRE_BACKUP", new Dictionary<string, string>(), Cancel);
    }
}
