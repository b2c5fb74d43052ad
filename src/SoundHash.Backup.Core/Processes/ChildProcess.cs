using System.Diagnostics;
using System.IO.Pipes;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Processes;

/// <summary>
/// A running child program, fed and read through pipes. It has succeeded only when <see cref="EnsureSuccessAsync"/>
/// returns: exit code 0, all of its input written, all of its output read. Disposing one that still runs ends it, and
/// ends it <em>before</em> its input is closed, so that half a stream is never taken for a whole one.
/// </summary>
public sealed class ChildProcess : IAsyncDisposable
{
    private const int PipeBytes = 1024 * 1024;

    // Linux: write(2) to a pipe without a reader. .NET puts errno into HResult.
    private const int BrokenPipe = 32;
    private const int ConnectionReset = 104;

    private readonly Process _process;
    private readonly ChildCommand _command;
    private readonly ILogger _log;
    private readonly StderrTail _stderr;
    private readonly Task _stderrDrained;
    private readonly Stream _input;
    private readonly Stream _output;
    private readonly PacedPipe? _pacedInput;
    private readonly PacedPipe? _pacedOutput;
    private readonly Lock _ending = new();
    private Task? _end;
    private bool _inputClosed;
    private bool _outputEnded;

    internal ChildProcess(Process process, ChildCommand command, ILogger log)
    {
        _process = process;
        _command = command;
        _log = log;
        _stderr = new StderrTail(command.Name, log);
        _stderrDrained = _stderr.DrainAsync(process.StandardError);
        _input = process.StandardInput.BaseStream;
        _output = process.StandardOutput.BaseStream;
        _pacedInput = TryEnlargePipe(_input) is { } input ? new PacedPipe(input) : null;
        _pacedOutput = TryEnlargePipe(_output) is { } output ? new PacedPipe(output) : null;
    }

    /// <summary>The program's name for messages.</summary>
    public string Name => _command.Name;

    /// <summary>The child's process id.</summary>
    public int Id => _process.Id;

    /// <summary>The last that the child wrote to stderr, at most 64 KiB.</summary>
    public string StderrTail => _stderr.ToString();

    /// <summary>
    /// What the child had to say though it succeeded, line by line (the last 100 lines); asked for after
    /// <see cref="EnsureSuccessAsync"/>. PostgreSQL's programs say there what they left out, and exit with 0.
    /// </summary>
    public IReadOnlyList<string> Warnings => _stderr.Lines();

    /// <summary>True when the child stopped reading before we stopped writing (and was allowed to).</summary>
    public bool InputClosedByChild { get; private set; }

    /// <summary>
    /// Writes to the child's stdin. When the child stopped reading, throws its own failure rather than "broken pipe",
    /// or drops the bytes where <see cref="ChildCommand.MayCloseInputEarly"/> is set.
    /// </summary>
    /// <exception cref="ChildProcessException">The child is gone or stopped reading.</exception>
    public async ValueTask WriteInputAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        if (InputClosedByChild)
        {
            return;
        }

        try
        {
            await (_pacedInput?.WriteAsync(bytes, cancel) ?? _input.WriteAsync(bytes, cancel));
        }
        catch (IOException e) when (IsBrokenPipe(e))
        {
            InputClosedByChild = true;
            if (!_command.MayCloseInputEarly)
            {
                throw await StoppedReadingAsync(cancel);
            }
        }
    }

    /// <summary>Closes the child's stdin: the sign that the input is whole. Never called after a failure.</summary>
    public void CloseInput()
    {
        if (_inputClosed)
        {
            return;
        }

        _inputClosed = true;
        try
        {
            _input.Dispose();
        }
        catch (IOException e) when (IsBrokenPipe(e))
        {
            // Nothing is buffered on our side; the exit code decides.
            _log.Debug("{Tool} closed its input first", Name);
        }
    }

    /// <summary>Reads from the child's stdout; 0 at its end. With a large buffer bytes may lie for some milliseconds first.</summary>
    public async ValueTask<int> ReadOutputAsync(Memory<byte> buffer, CancellationToken cancel)
    {
        var read = _pacedOutput is not null && buffer.Length >= PacedPipe.SmallestBuffer
            ? await _pacedOutput.ReadAsync(buffer, cancel)
            : await _output.ReadAsync(buffer, cancel);
        _outputEnded |= read == 0 && buffer.Length > 0;
        return read;
    }

    /// <summary>Reads stdout to its end as UTF-8.</summary>
    /// <exception cref="BackupException">It is more than 16 MiB; the child is ended.</exception>
    public async Task<string> ReadTextAsync(CancellationToken cancel) =>
        Encoding.UTF8.GetString((await ReadBytesAsync(16 * 1024 * 1024, cancel)).Span);

    /// <summary>Reads stdout to its end, into memory.</summary>
    /// <exception cref="BackupException">It is more than a limit; the child is ended.</exception>
    public async Task<ReadOnlyMemory<byte>> ReadBytesAsync(int limit, CancellationToken cancel)
    {
        using var buffer = new MemoryStream();
        var chunk = new byte[64 * 1024];
        int read;
        while ((read = await ReadOutputAsync(chunk, cancel)) > 0)
        {
            if (buffer.Length + read > limit)
            {
                await EndAsync();
                throw new BackupException(ErrorKind.ChildFailed, $"{Name} wrote more than {limit} bytes");
            }

            buffer.Write(chunk, 0, read);
        }

        return buffer.GetBuffer().AsMemory(0, (int)buffer.Length);
    }

    /// <summary>Waits for the end and checks it: exit code 0, input closed by us, output read to its end.</summary>
    /// <exception cref="ChildProcessException">Anything else.</exception>
    public async Task EnsureSuccessAsync(CancellationToken cancel)
    {
        var exitCode = await WaitForExitAsync(cancel);
        if (exitCode != 0)
        {
            throw new ChildProcessException(Name, exitCode, _stderr.ToString());
        }

        if (!_inputClosed || !_outputEnded)
        {
            throw new ChildProcessException(
                Name, exitCode, $"it ended before its {(_inputClosed ? "output was read" : "input was complete")}");
        }
    }

    /// <summary>Waits for the child's end and returns its exit code, whatever it is.</summary>
    public async Task<int> WaitForExitAsync(CancellationToken cancel)
    {
        await _process.WaitForExitAsync(cancel);
        // A grandchild that outlives the child may hold stderr open: don't wait for it for ever.
        await Task.WhenAny(_stderrDrained, Task.Delay(TimeSpan.FromSeconds(2), CancellationToken.None));
        return _process.ExitCode;
    }

    /// <summary>Ends the child: SIGTERM to its group, grace, SIGKILL. Does nothing when it has ended. Never throws.</summary>
    public Task EndAsync()
    {
        lock (_ending)
        {
            return _end ??= EndOnceAsync();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        CloseInput();
        await _output.DisposeAsync();
        _process.Dispose();
    }

    private async Task EndOnceAsync()
    {
        if (_process.HasExited)
        {
            return;
        }

        Signal(Posix.SignalTerminate);
        using var grace = new CancellationTokenSource(_command.Grace);
        try
        {
            await _process.WaitForExitAsync(grace.Token);
            // Its own children hold its stderr for as long as they live: they get the rest of the grace.
            await _stderrDrained.WaitAsync(grace.Token);
        }
        catch (OperationCanceledException)
        {
            _log.Warning("{Tool} did not end within {Grace} after SIGTERM and is killed", Name, _command.Grace);
        }

        if (_process.HasExited)
        {
            // Whoever of its group outlived it. The child itself is gone, and its id may be another's by now.
            _ = Posix.Kill(-_process.Id, Posix.SignalKill);
            return;
        }

        Signal(Posix.SignalKill);
        await _process.WaitForExitAsync(CancellationToken.None);
    }

    private void Signal(int signal)
    {
        // In the instant between fork and setsid the group does not exist yet: then the child alone gets it.
        if (_command.KeepTerminal || Posix.Kill(-_process.Id, signal) != 0)
        {
            _ = Posix.Kill(_process.Id, signal);
        }
    }

    private async Task<ChildProcessException> StoppedReadingAsync(CancellationToken cancel)
    {
        using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        wait.CancelAfter(_command.Grace);
        try
        {
            var exitCode = await WaitForExitAsync(wait.Token);
            return new ChildProcessException(Name, exitCode, exitCode == 0 ? "it ended before its input was complete" : _stderr.ToString());
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new ChildProcessException(Name, -1, "it closed its input but did not end");
        }
    }

    private static bool IsBrokenPipe(IOException e) =>
        e.HResult is BrokenPipe or ConnectionReset
        || (e.InnerException as System.Net.Sockets.SocketException)?.SocketErrorCode
            is System.Net.Sockets.SocketError.Shutdown or System.Net.Sockets.SocketError.ConnectionReset
            or System.Net.Sockets.SocketError.ConnectionAborted;

    // Null for a pipe that stays small.
    private static SafePipeHandle? TryEnlargePipe(Stream stream) =>
        stream is PipeStream { SafePipeHandle: { IsInvalid: false } handle } && Posix.TryEnlargePipe(handle, PipeBytes) ? handle : null;
}
