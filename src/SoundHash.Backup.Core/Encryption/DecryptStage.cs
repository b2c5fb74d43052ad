using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Encryption;

/// <summary>
/// Decrypts by a child program that filters stdin to stdout. A program whose exit code 0 does not say that it decrypted
/// a whole message has to write a proof of that to stderr.
/// </summary>
internal sealed class DecryptStage : ReadStage
{
    private readonly ChildProcess _child;
    private readonly Stream _source;
    private readonly string _subject;
    private readonly Func<string, string> _hint;
    private readonly string? _proof;
    private readonly CancellationTokenSource _abort = new();
    private readonly Task _feed;
    private bool _succeeded;

    /// <param name="child">The program.</param>
    /// <param name="source">What it decrypts.</param>
    /// <param name="subject">What that is, in words.</param>
    /// <param name="hint">What to do after a failure, by what the program said on stderr.</param>
    /// <param name="proof">What it has to say on stderr, or null.</param>
    public DecryptStage(ChildProcess child, Stream source, string subject, Func<string, string> hint, string? proof = null)
    {
        _child = child;
        _source = source;
        _subject = subject;
        _hint = hint;
        _proof = proof;
        _feed = FeedAsync();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await _child.ReadOutputAsync(buffer, cancellationToken);
        if (read == 0 && buffer.Length > 0 && !_succeeded)
        {
            await EnsureWholeAsync(cancellationToken);
            _succeeded = true;
        }

        return read;
    }

    public override async ValueTask DisposeAsync()
    {
        await _abort.CancelAsync();
        await _child.EndAsync();
        await _feed.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _child.DisposeAsync();
        await _source.DisposeAsync();
        _abort.Dispose();
    }

    private async Task FeedAsync()
    {
        var buffer = GC.AllocateUninitializedArray<byte>(256 * 1024);
        try
        {
            int read;
            while ((read = await _source.ReadAsync(buffer, _abort.Token)) > 0)
            {
                await _child.WriteInputAsync(buffer.AsMemory(0, read), _abort.Token);
            }
        }
        catch
        {
            await _child.EndAsync();
            throw;
        }

        _child.CloseInput();
    }

    private async Task EnsureWholeAsync(CancellationToken cancel)
    {
        try
        {
            await _feed.WaitAsync(cancel);
            await _child.EnsureSuccessAsync(cancel);
        }
        catch (ChildProcessException e)
        {
            throw new BackupException(ErrorKind.Encryption, $"{_subject} can't be decrypted: {e.Message}", _hint(e.StderrTail), e);
        }

        if (_proof is not null && !_child.StderrTail.Contains(_proof, StringComparison.Ordinal))
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"{_subject} can't be decrypted: {_child.Name} found no whole encrypted message in it",
                "use another copy: it is cut or damaged");
        }
    }
}
