using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Processes;

/// <summary>
/// Reads or writes one end of a pipe in large pieces. Programs like pg_dump and pg_restore write and read 4 KiB at a
/// time, and to be woken for each of them costs more than all else that is done with the bytes. So the pipe is looked at
/// every millisecond or so instead: it holds 1 MiB, so that a program of less than 1 GB/s never waits for us.
/// </summary>
internal sealed class PacedPipe(SafePipeHandle pipe)
{
    /// <summary>Whoever reads into less than this wants an answer soon rather than a large piece.</summary>
    public const int SmallestBuffer = 256 * 1024;

    private const int Interrupted = 4;
    private const int NotNow = 11;
    private const int BrokenPipe = 32;

    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(16);

    // Shorter: a pipe that was full may be empty by then.
    private static readonly TimeSpan LongestWritePause = TimeSpan.FromMilliseconds(2);

    private bool _prepared;
    private bool _pauseFirst;

    /// <summary>Reads what has come; waits when there is nothing. 0 at the end.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancel)
    {
        Prepare();
        var pause = ShortestPause;
        cancel.ThrowIfCancellationRequested();
        if (_pauseFirst)
        {
            await Task.Delay(pause, cancel);
        }

        int read;
        while ((read = TryRead(buffer.Span)) < 0)
        {
            await Task.Delay(pause, cancel);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }

        _pauseFirst = read < SmallestBuffer;
        return read;
    }

    /// <summary>Writes all of it; waits while the pipe is full.</summary>
    /// <exception cref="IOException">Nobody reads any more; HResult is EPIPE.</exception>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        Prepare();
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            var written = TryWrite(bytes.Span);
            bytes = bytes[Math.Max(written, 0)..];
            if (bytes.IsEmpty)
            {
                return;
            }

            await Task.Delay(written < 0 ? LongestWritePause : ShortestPause, cancel);
        }
    }

    private void Prepare()
    {
        if (!_prepared)
        {
            Posix.SetNonBlocking(pipe);
            _prepared = true;
        }
    }

    // -1 when there is nothing yet.
    private int TryRead(Span<byte> buffer)
    {
        int read;
        do
        {
            read = (int)Posix.Read(pipe, buffer, buffer.Length);
        }
        while (read < 0 && MayTryAgain("read from"));
        return read;
    }

    // -1 when there is no room.
    private int TryWrite(ReadOnlySpan<byte> bytes)
    {
        int written;
        do
        {
            written = (int)Posix.Write(pipe, bytes, bytes.Length);
        }
        while (written < 0 && MayTryAgain("write to"));
        return written;
    }

    private static bool MayTryAgain(string what) => Marshal.GetLastPInvokeError() switch
    {
        Interrupted => true,
        NotNow => false,
        BrokenPipe => throw new IOException("nobody reads from the pipe", BrokenPipe),
        _ => throw new BackupException(ErrorKind.ChildFailed, $"can't {what} a pipe: {Marshal.GetLastPInvokeErrorMessage()}"),
    };
}
