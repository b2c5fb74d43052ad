using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>What a child is started with.</summary>
public sealed class ProcessLauncherTests
{
    // pid, process group and session of the shell: fields 1, 5 and 6 of proc_pid_stat(5).
    private const string PrintSession = "cut -d' ' -f1,5,6 /proc/$$/stat";

    [Fact(Timeout = HangLimit)]
    public async Task A_child_leads_a_session_and_a_process_group_of_its_own()
    {
        await using var child = Children.Launcher.Start(Children.Shell(PrintSession));

        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"{child.Id} {child.Id} {child.Id}"), await child.ReadLineAsync());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_must_ask_a_person_stays_in_our_session()
    {
        var ours = (await File.ReadAllTextAsync("/proc/self/stat", Cancel)).Split(' ')[5];

        var line = await Children.Launcher.ReadOutputAsync(Children.Shell(PrintSession) with { KeepTerminal = true }, Cancel);

        Assert.Equal(ours, line.TrimEnd().Split(' ')[2]);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_dies_of_a_broken_pipe_as_programs_do()
    {
        // A program that inherits an ignored SIGPIPE goes on writing into nothing.
        var ignored = await Children.Launcher.ReadOutputAsync(Children.Shell("grep SigIgn /proc/self/status"), Cancel);

        const ulong Sigpipe = 1UL << (13 - 1);
        Assert.Equal(0UL, ulong.Parse(ignored.Split(':')[1].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & Sigpipe);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Variables_are_added_to_our_environment_and_removed_from_it()
    {
        var command = Children.Shell("echo \"$PGUSER/${HOME-no home}/${PATH:+path}\"") with
        {
            Environment = new Dictionary<string, string?> { ["PGUSER"] = "o'brien $x", ["HOME"] = null },
        };

        Assert.Equal("o'brien $x/no home/path\n", await Children.Launcher.ReadOutputAsync(command, Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Arguments_reach_the_child_as_they_are()
    {
        string[] arguments = ["-c", "printf '<%s>' \"$@\"", "sh", "a b", "", "$HOME", "\"quoted\"", "it's", "*", "ümlaut", "new\nline"];

        var output = await Children.Launcher.ReadOutputAsync(new ChildCommand("/bin/sh", arguments), Cancel);

        Assert.Equal("<a b><><$HOME><\"quoted\"><it's><*><ümlaut><new\nline>", output);
    }

    [Fact(Timeout = HangLimit)]
    public async Task The_input_of_a_command_that_reads_nothing_is_empty()
    {
        Assert.Equal("0\n", await Children.Launcher.ReadOutputAsync(Children.Shell("wc -c"), Cancel));
    }

    [Fact]
    public void A_program_that_is_missing_is_a_missing_tool_and_no_failed_child()
    {
        var e = Assert.Throws<BackupException>(() => Children.Launcher.Start(new ChildCommand("/nonexistent/pg_dump", [])));

        Assert.Equal(ErrorKind.ToolMissing, e.Kind);
        Assert.Contains("/nonexistent/pg_dump", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_that_is_not_executable_is_a_missing_tool()
    {
        using var folder = new TempFolder();

        var e = Assert.Throws<BackupException>(() => Children.Launcher.Start(new ChildCommand(folder.Write("pg_dump", "no program"), [])));

        Assert.Equal(ErrorKind.ToolMissing, e.Kind);
    }
}
