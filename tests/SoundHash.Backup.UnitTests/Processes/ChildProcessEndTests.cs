using System.Globalization;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>How children are ended: before their stdin closes, whole groups, and nothing is left of them.</summary>
public sealed class ChildProcessEndTests
{
    private static readonly TimeSpan ShortGrace = TimeSpan.FromMilliseconds(200);

    // Prints a count as soon as its stdin ends, and only then: SIGTERM does not keep it from that, so that the count
    // shows for certain when stdin was closed before the child was gone.
    private static readonly ChildCommand StubbornCount = Children.Shell("trap '' TERM; exec wc -c") with { Grace = ShortGrace };

    [Fact(Timeout = HangLimit)]
    public async Task A_stream_that_fails_kills_the_child_before_its_stdin_closes()
    {
        await using var child = Children.Launcher.Start(StubbornCount);
        var source = new ScriptedStream(new byte[3_000_000], failure: new IOException("the download broke off"));

        var e = await Assert.ThrowsAsync<IOException>(
            () => StreamCopy.ToChildAsync(source, child, new TransferMeter(TimeProvider.System), Cancel));

        Assert.Equal("the download broke off", e.Message);
        Assert.Equal(string.Empty, await child.ReadTextAsync(Cancel));
        Assert.Equal(137, await child.WaitForExitAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_honours_SIGTERM_never_counts_half_a_stream_either()
    {
        await using var child = Children.Launcher.Start(Children.ProbeCommand("count"));
        var source = new ScriptedStream(new byte[3_000_000], failure: new IOException("the download broke off"));

        await Assert.ThrowsAsync<IOException>(
            () => StreamCopy.ToChildAsync(source, child, new TransferMeter(TimeProvider.System), Cancel));

        Assert.Equal(string.Empty, await child.ReadTextAsync(Cancel));
        Assert.Equal(143, await child.WaitForExitAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_is_disposed_of_is_ended_before_its_stdin_closes()
    {
        using var folder = new TempFolder();
        var count = Children.Shell($"trap '' TERM; echo ready; exec wc -c >'{folder["count"]}'") with { Grace = ShortGrace };
        await using (var child = Children.Launcher.Start(count))
        {
            await child.ReadLineAsync();
            await child.WriteInputAsync(new byte[1000], Cancel);
        }

        Assert.Equal(string.Empty, await File.ReadAllTextAsync(folder["count"], Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_stream_that_is_cancelled_ends_the_child_and_publishes_nothing()
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        await using var target = new MemoryStage();
        await using var child = Children.Launcher.Start(Children.Shell("echo ready; exec sleep 600"));
        await child.ReadLineAsync();
        child.CloseInput();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            var copy = StreamCopy.FromChildAsync(child, target, new TransferMeter(TimeProvider.System), stop.Token);
            await stop.CancelAsync();
            await copy;
        });

        Assert.Equal(143, await child.WaitForExitAsync(Cancel));
        Assert.False(target.Completed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_stage_that_fails_ends_the_child_that_feeds_it()
    {
        await using var target = new FullDiskStage(0);
        await using var child = Children.Launcher.Start(Children.Shell("echo ready; exec sleep 600"));
        child.CloseInput();

        await Assert.ThrowsAsync<IOException>(
            () => StreamCopy.FromChildAsync(child, target, new TransferMeter(TimeProvider.System), Cancel));

        Assert.Equal(143, await child.WaitForExitAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_ignores_SIGTERM_is_killed_after_its_grace()
    {
        await using var child = Children.Launcher.Start(Children.ProbeCommand("stubborn") with { Grace = ShortGrace });
        Assert.Equal("ready", await child.ReadLineAsync());

        await child.EndAsync();

        Assert.Equal(137, await child.WaitForExitAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_is_first_asked_to_end_so_that_it_can_clean_up()
    {
        await using var child = Children.Launcher.Start(Children.Shell("trap 'exit 42' TERM; echo ready; sleep 600 & wait"));
        await child.ReadLineAsync();

        await child.EndAsync();

        Assert.Equal(42, await child.WaitForExitAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Ending_a_child_that_has_ended_does_nothing()
    {
        await using var child = Children.Launcher.Start(Children.Shell("exit 5"));
        await child.WaitForExitAsync(Cancel);

        await child.EndAsync();

        Assert.Equal(5, await child.WaitForExitAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task The_children_of_a_child_are_ended_with_it()
    {
        await using var child = Children.Launcher.Start(Children.Shell("sleep 600 & echo $!; wait"));
        var grandchild = int.Parse(await child.ReadLineAsync(), CultureInfo.InvariantCulture);

        await child.EndAsync();

        // The end of stdout comes when nobody is left who could write to it.
        Assert.Equal(string.Empty, await child.ReadTextAsync(Cancel));
        await Children.EndedAsync(grandchild);
    }

    [Fact(Timeout = HangLimit)]
    public async Task The_children_of_a_child_are_killed_when_they_outlive_it_and_their_grace()
    {
        var command = Children.Shell("(trap '' TERM; sleep 600 & echo $!; wait) & wait") with { Grace = ShortGrace };
        await using var child = Children.Launcher.Start(command);
        var grandchild = int.Parse(await child.ReadLineAsync(), CultureInfo.InvariantCulture);

        await child.EndAsync();

        Assert.Equal(string.Empty, await child.ReadTextAsync(Cancel));
        await Children.EndedAsync(grandchild);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Nothing_is_left_of_a_child_that_was_disposed_of()
    {
        int running;
        int ended;
        await using (var one = Children.Launcher.Start(Children.ProbeCommand("cat")))
        await using (var other = Children.Launcher.Start(Children.Shell("exit 0")))
        {
            running = one.Id;
            ended = other.Id;
        }

        Assert.False(Directory.Exists($"/proc/{running}"), "the child still runs, or is a zombie");
        Assert.False(Directory.Exists($"/proc/{ended}"), "the child is a zombie");
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_grandchild_that_keeps_stderr_open_does_not_hold_up_the_end_of_its_parent()
    {
        await using var child = Children.Launcher.Start(Children.Shell("sleep 600 </dev/null >/dev/null & echo $!"));
        var grandchild = int.Parse(await child.ReadLineAsync(), CultureInfo.InvariantCulture);

        try
        {
            child.CloseInput();
            await StreamCopy.DiscardOutputAsync(child, Cancel);
            await child.EnsureSuccessAsync(Cancel);
            Assert.True(Children.IsAlive(grandchild));
        }
        finally
        {
            await Programs.RunAsync("/bin/kill", ["-KILL", grandchild.ToString(CultureInfo.InvariantCulture)]);
        }
    }
}
