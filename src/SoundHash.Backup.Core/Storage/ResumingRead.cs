using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Storage;

/// <summary>How a store's objects are read although connections break.</summary>
/// <param name="Open">Opens the same version of the object at an offset; tries again itself.</param>
/// <param name="Translate">The store's error for what reading threw; a <see cref="TransientStorageException"/> is tried again.</param>
/// <param name="Stall">How long a read may wait for the next byte.</param>
/// <param name="FirstWait">The wait before the second attempt at one place; each further one is twice as long, up to 30 s.</param>
/// <param name="Time">The clock.</param>
public sealed record ResumeRules(
    Func<long, CancellationToken, Task<Stream>> Open,
    Func<Exception, StorageException> Translate,
    TimeSpan Stall,
    TimeSpan FirstWait,
    TimeProvider Time);

/// <summary>
/// Reads an object of a distant store to its end although connections break: what fails in a way that may pass is opened again
/// at the byte where it broke. An answer that ends before the object's size is such a break too, and never the end.
/// </summary>
/// <param name="first">The object, opened at the offset.</param>
/// <param name="offset">Where reading begins, in bytes.</param>
/// <param name="size">The whole object's size, in bytes.</param>
/// <param name="rules">How it is opened again.</param>
public sealed class ResumingRead(Stream first, long offset, long size, ResumeRules rules) : ReadStage
{
    private const int AttemptsAtOnePlace = 10;
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    private Stream? _current = first;
    private long _at = offset;

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var wanted = buffer[..(int)Math.Min(buffer.Length, size - _at)];
        if (wanted.IsEmpty)
        {
            return 0;
        }

        for (var attempt = 1; ; attempt++)
        {
            try
            {
                _current ??= await rules.Open(_at, cancellationToken);
                var read = await ReadOnceAsync(_current, wanted, cancellationToken);
                _at += read;
                return read;
            }
            catch (Exception e) when (e is not StorageException && !cancellationToken.IsCancellationRequested)
            {
                var failure = rules.Translate(e);
                await DisposeAsync();
                if (failure is not TransientStorageException || attempt == AttemptsAtOnePlace)
                {
                    throw failure;
                }
            }

            await Task.Delay(WaitAfter(attempt), rules.Time, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (_current is not null)
        {
            await _current.DisposeAsync();
            _current = null;
        }
    }

    private async Task<int> ReadOnceAsync(Stream stream, Memory<byte> buffer, CancellationToken cancel)
    {
        using var stall = new CancellationTokenSource(rules.Stall, rules.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stall.Token, cancel);
        try
        {
            var read = await stream.ReadAsync(buffer, either.Token);
            return read > 0 ? read : throw new EndOfStreamException($"the answer ended {size - _at} bytes before the object does");
        }
        catch (OperationCanceledException e) when (stall.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw new TimeoutException($"no byte came for {rules.Stall.TotalSeconds:0} s", e);
        }
    }

    private TimeSpan WaitAfter(int attempt)
    {
        var wait = rules.FirstWait * Math.Pow(2, attempt - 1);
        return wait < LongestWait ? wait : LongestWait;
    }
}
