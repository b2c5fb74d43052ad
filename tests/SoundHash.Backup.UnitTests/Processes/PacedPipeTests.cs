using System.Diagnostics;
using System.Security.Cryptography;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>A large buffer is filled in large pieces, and nothing else is different.</summary>
public sealed class PacedPipeTests
{
    private const int Large = PacedPipe.SmallestBuffer;

    [Fact(Timeout = HangLimit)]
    public async Task A_child_that_writes_in_small_pieces_does_not_wake_us_for_each()
    {
        const int Pieces = 25_600;
        await using var child = Children.Launcher.Start(Children.Shell($"exec dd if=/dev/zero bs=4096 count={Pieces} status=none"));
        child.CloseInput();
        var buffer = new byte[4 * Large];
        var (reads, bytes, clock) = (0, 0L, Stopwatch.StartNew());

        int read;
        while ((read = await child.ReadOutputAsync(buffer, Cancel)) > 0)
        {
            reads++;
            bytes += read;
        }

        await child.EnsureSuccessAsync(Cancel);
        Assert.Equal(Pieces * 4096L, bytes);
        // What is no large piece is followed by a pause of a millisecond, which a timer may cut short.
        Assert.InRange(reads, 1, 100 + (bytes / Large) + (3 * clock.ElapsedMilliseconds));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Bytes_come_whole_and_in_order_whatever_the_size_of_each_read()
    {
        var bytes = NewRandom().Noise(5_000_000);
        await using var child = Children.Launcher.Start(Children.ProbeCommand("cat"));
        var feed = StreamCopy.ToChildAsync(new ScriptedStream(bytes), child, new TransferMeter(TimeProvider.System), Cancel);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Large];

        int read;
        for (var turn = 0; (read = await child.ReadOutputAsync(buffer.AsMemory(0, turn % 3 == 0 ? 1000 : Large), Cancel)) > 0; turn++)
        {
            hash.AppendData(buffer, 0, read);
        }

        await feed;
        await child.EnsureSuccessAsync(Cancel);
        Assert.Equal(SHA256.HashData(bytes), hash.GetHashAndReset());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_read_that_waits_for_a_silent_child_is_cancelled_at_once()
    {
        await using var child = Children.Launcher.Start(Children.Shell("echo begun; exec sleep 600"));
        var buffer = new byte[Large];
        Assert.Equal(6, await child.ReadOutputAsync(buffer, Cancel));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);

        var waiting = child.ReadOutputAsync(buffer, stop.Token).AsTask();
        Assert.False(waiting.IsCompleted);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact(Timeout = HangLimit)]
    public async Task The_end_of_a_child_that_is_ended_ends_a_read_that_waits_for_it()
    {
        await using var child = Children.Launcher.Start(Children.Shell("exec sleep 600"));
        child.CloseInput();

        var waiting = child.ReadOutputAsync(new byte[Large], Cancel).AsTask();
        await child.EndAsync();

        Assert.Equal(0, await waiting);
        await Assert.ThrowsAsync<ChildProcessException>(() => child.EnsureSuccessAsync(Cancel));
    }
}
