using System.Diagnostics;
using System.Globalization;
using Serilog.Core;
using Serilog.Events;
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

        var script = $"printf '%s|%s' \"$SHBACKUP_DATABASES\" \"$SHBACKUP_EXIT_CODE\" > '{folder["facts"]}'";
        await _hook.RunAsync(script, "BACKUP_HOOK_POST_BACKUP", facts, Cancel);

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

    [Theory(Timeout = HangLimit)]
    [InlineData("", false)]
    [InlineData("; exit 3", true)]
    public async Task A_program_that_a_hook_leaves_in_the_background_is_not_waited_for(string end, bool fails)
    {
        using var folder = new TempFolder();
        var log = new RecordingLog();
        var hook = new Hook(Children.Launcher, log.Log);

        var script = $"echo said before; sleep 1000 & echo $! > '{folder["pid"]}'{end}";
        var e = await Record.ExceptionAsync(
            () => hook.RunAsync(script, "BACKUP_HOOK_POST_BACKUP", new Dictionary<string, string>(), Cancel));

        var pid = int.Parse(await File.ReadAllTextAsync(folder["pid"], Cancel), CultureInfo.InvariantCulture);
        using var left = Process.GetProcessById(pid);
        left.Kill();
        Assert.Equal(fails, e is BackupException { Kind: ErrorKind.ChildFailed });
        Assert.Equal(fails, e is not null);
        var said = Assert.Single(log.Messages(LogEventLevel.Information));
        Assert.Contains("said before", said, StringComparison.Ordinal);
        Assert.Contains("left a program in the background", Assert.Single(log.Messages(LogEventLevel.Warning)), StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task What_a_hook_says_is_logged_line_by_line_to_its_end()
    {
        var log = new RecordingLog();

        await new Hook(Children.Launcher, log.Log).RunAsync(
            "printf 'one\\n\\ntwo\\nüml'; printf 'aut'", "BACKUP_HOOK_PRE_BACKUP", new Dictionary<string, string>(), Cancel);

        Assert.Equal(["one", "two", "ümlaut"], log.Messages(LogEventLevel.Information).Select(static m => m.Split(": ")[1].Trim('"')));
    }

    [Fact]
    public async Task No_hook_does_nothing()
    {
        await _hook.RunAsync(null, "BACKUP_HOOK_PRE_BACKUP", new Dictionary<string, string>(), Cancel);
    }
}
