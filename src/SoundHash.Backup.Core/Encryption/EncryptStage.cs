using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Encryption;

/// <summary>Encrypts by a child program that filters stdin to stdout.</summary>
internal sealed class EncryptStage : WriteStage
{
    private readonly ChildProcess _child;
    private readonly WriteStage _next;
    private readonly string _keyNames;
    private readonly CancellationTokenSource _abort = new();
    private readonly Task _pump;

    public EncryptStage(ChildProcess child, WriteStage next, string keyNames)
    {
        _child = child;
        _next = next;
        _keyNames = keyNames;
        _pump = PumpAsync();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            await _child.WriteInputAsync(buffer, cancellationToken);
        }
        catch (ChildProcessException e)
        {
            // When the stage after us failed, the child was ended for it: that failure is the cause to report.
            await _pump;
            throw Failed(e);
        }
    }

    public override async Task CompleteAsync(CancellationToken cancel)
    {
        _child.CloseInput();
        await _pump.WaitAsync(cancel);
        try
        {
            await _child.EnsureSuccessAsync(cancel);
        }
        catch (ChildProcessException e)
        {
            throw Failed(e);
        }

        await _next.CompleteAsync(cancel);
    }

    public override async ValueTask DisposeAsync()
    {
        await _abort.CancelAsync();
        await _child.EndAsync();
        await _pump.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _child.DisposeAsync();
        await _next.DisposeAsync();
        _abort.Dispose();
    }

    private async Task PumpAsync()
    {
        var buffer = GC.AllocateUninitializedArray<byte>(256 * 1024);
        try
        {
            int read;
            while ((read = await _child.ReadOutputAsync(buffer, _abort.Token)) > 0)
            {
                await _next.WriteAsync(buffer.AsMemory(0, read), _abort.Token);
            }
        }
        catch
        {
            await _child.EndAsync();
            throw;
        }
    }

    private BackupException Failed(ChildProcessException e) =>
        new(ErrorKind.Encryption, $"encryption failed: {e.Message}", $"check the recipients in {_keyNames}", e);
}
