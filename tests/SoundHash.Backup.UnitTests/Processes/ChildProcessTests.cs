using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>What counts as the success of a child, and how its failure is told.</summary>
public sealed class ChildProcessTests
{
    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_read_all_and_whose_output_was_read_has_succeeded()
    {
        var bytes = NewRandom().Noise(3_000_000);
        await using var child = Children.Launcher.Start(Children.ProbeCommand("cat"));
        await using var target = new MemoryStage();

        var feed = StreamCopy.ToChildAsync(new ScriptedStream(bytes), child, new TransferMeter(TimeProvider.System), Cancel);
        await StreamCopy.FromChildAsync(child, target, new TransferMeter(TimeProvider.System), Cancel);
        await feed;

        Assert.Equal(bytes, target.Published);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_failed_child_is_told_with_its_name_its_exit_code_and_what_it_said_last()
    {
        var e = await Assert.ThrowsAsync<ChildProcessException>(
            () => Children.Launcher.ReadOutputAsync(Children.ProbeCommand("complain", 6), Cancel));

        Assert.Equal(3, e.ExitCode);
        Assert.Equal("child-probe", e.Tool);
        Assert.Equal(ErrorKind.ChildFailed, e.Kind);
        Assert.Equal("line 1\nline 2\nline 3\nline 4\nline 5\nline 6\n", e.StderrTail);
        Assert.Equal("child-probe failed with exit code 3: line 3; line 4; line 5; line 6", e.Message);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Only_the_last_64_KiB_of_what_a_child_said_are_kept()
    {
        var e = await Assert.ThrowsAsync<ChildProcessException>(
            () => Children.Launcher.ReadOutputAsync(Children.ProbeCommand("complain", 30_000), Cancel));

        Assert.InRange(e.StderrTail.Length, 60_000, 64 * 1024);
        Assert.EndsWith("\nline 29999\nline 30000\n", e.StderrTail, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task An_error_never_holds_the_arguments()
    {
        var command = new ChildCommand("/bin/sh", ["-c", "exit 9", "sh", "correct-horse-battery"]);

        var e = await Assert.ThrowsAsync<ChildProcessException>(() => Children.Launcher.ReadOutputAsync(command, Cancel));

        Assert.Equal("sh failed with exit code 9", e.Message);
        Assert.DoesNotContain("correct-horse-battery", e.ToString(), StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_ended_by_a_signal_is_told_as_such()
    {
        var e = await Assert.ThrowsAsync<ChildProcessException>(
            () => Children.Launcher.ReadOutputAsync(Children.Shell("kill -SEGV $$"), Cancel));

        Assert.Equal("sh was ended by signal 11", e.Message);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_dies_early_reports_its_own_failure_and_no_broken_pipe()
    {
        await using var child = Children.Launcher.Start(Children.ProbeCommand("die", 10));

        var e = await Assert.ThrowsAsync<ChildProcessException>(() => StreamCopy.ToChildAsync(
            new ScriptedStream(new byte[16 * 1024 * 1024]), child, new TransferMeter(TimeProvider.System), Cancel));

        Assert.Equal("child-probe failed with exit code 7: child-probe: died on purpose", e.Message);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_ends_with_0_before_it_read_everything_has_not_succeeded()
    {
        await using var child = Children.Launcher.Start(Children.ProbeCommand("close-early", 10));

        var e = await Assert.ThrowsAsync<ChildProcessException>(() => StreamCopy.ToChildAsync(
            new ScriptedStream(new byte[16 * 1024 * 1024]), child, new TransferMeter(TimeProvider.System), Cancel));

        Assert.Contains("before its input was complete", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_closes_its_input_and_lives_on_is_not_waited_for_without_end()
    {
        await using var child = Children.Launcher.Start(
            Children.Shell("exec <&-; echo closed; exec sleep 600") with { Grace = TimeSpan.FromMilliseconds(100) });
        await child.ReadLineAsync();

        var e = await Assert.ThrowsAsync<ChildProcessException>(() => child.WriteInputAsync(new byte[10], Cancel).AsTask());

        Assert.Contains("it closed its input but did not end", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_may_close_its_input_early_succeeds_and_the_rest_of_the_source_is_still_read()
    {
        var source = new ScriptedStream(new byte[16 * 1024 * 1024]);
        var meter = new TransferMeter(TimeProvider.System);
        await using var child = Children.Launcher.Start(Children.ProbeCommand("close-early", 10) with { MayCloseInputEarly = true });

        await StreamCopy.ToChildAsync(source, child, meter, Cancel);
        await StreamCopy.DiscardOutputAsync(child, Cancel);
        await child.EnsureSuccessAsync(Cancel);

        Assert.True(child.InputClosedByChild);
        Assert.Equal(16 * 1024 * 1024, meter.Bytes);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_may_close_its_input_early_may_still_fail()
    {
        await using var child = Children.Launcher.Start(Children.ProbeCommand("die", 10) with { MayCloseInputEarly = true });

        await StreamCopy.ToChildAsync(
            new ScriptedStream(new byte[16 * 1024 * 1024]),
            child,
            new TransferMeter(TimeProvider.System),
            Cancel);
        await StreamCopy.DiscardOutputAsync(child, Cancel);
        var e = await Assert.ThrowsAsync<ChildProcessException>(() => child.EnsureSuccessAsync(Cancel));

        Assert.Equal(7, e.ExitCode);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Exit_code_0_with_output_that_was_not_read_is_no_success()
    {
        await using var child = Children.Launcher.Start(Children.ProbeCommand("write", 10));
        child.CloseInput();

        var e = await Assert.ThrowsAsync<ChildProcessException>(() => child.EnsureSuccessAsync(Cancel));

        Assert.Contains("before its output was read", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Exit_code_0_with_input_that_was_not_closed_is_no_success()
    {
        await using var child = Children.Launcher.Start(Children.ProbeCommand("write", 10));
        await StreamCopy.DiscardOutputAsync(child, Cancel);

        var e = await Assert.ThrowsAsync<ChildProcessException>(() => child.EnsureSuccessAsync(Cancel));

        Assert.Contains("before its input was complete", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Output_of_a_child_that_then_fails_is_never_published()
    {
        await using var target = new MemoryStage();
        await using var child = Children.Launcher.Start(Children.Shell("echo half of it; exit 3"));
        child.CloseInput();

        await Assert.ThrowsAsync<ChildProcessException>(
            () => StreamCopy.FromChildAsync(child, target, new TransferMeter(TimeProvider.System), Cancel));

        Assert.False(target.Completed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Text_beyond_16_MiB_is_refused_and_its_writer_ended()
    {
        await using var child = Children.Launcher.Start(Children.Shell("exec yes"));

        var e = await Assert.ThrowsAsync<BackupException>(() => child.ReadTextAsync(Cancel));

        Assert.Equal(ErrorKind.ChildFailed, e.Kind);
        Assert.False(Children.IsAlive(child.Id));
    }
}
