using Polly;
using Polly.Retry;

namespace SoundHash.Backup.Storage;

/// <summary>
/// Tries calls of one store again while they fail in a way that may pass (<see cref="TransientStorageException"/>): a store that
/// has answered before gets ten attempts over some minutes, one that was never heard of three, so that a wrong address is an
/// error within seconds. Waits have jitter, and are at least what the store asks for.
/// </summary>
public sealed class StoreRetry
{
    private const int AttemptsWhenHeard = 10;
    private const int AttemptsUnheard = 3;
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    private readonly ResiliencePipeline _pipeline;
    private volatile bool _heard;

    /// <summary>Makes one for a store.</summary>
    /// <param name="time">The clock that waits are taken from.</param>
    /// <param name="firstWait">About how long the first wait is; each further one is about twice as long, up to 30 s.</param>
    /// <param name="retrying">Told of each failure that is tried again, with the wait before that; may be null.</param>
    public StoreRetry(TimeProvider time, TimeSpan? firstWait = null, Action<TransientStorageException, TimeSpan>? retrying = null)
    {
        _pipeline = new ResiliencePipelineBuilder { TimeProvider = time }.AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = args => ValueTask.FromResult(
                args.Outcome.Exception is TransientStorageException e && args.AttemptNumber + 1 < AttemptsAfter(e)),
            MaxRetryAttempts = AttemptsWhenHeard - 1,
            Delay = firstWait ?? TimeSpan.FromMilliseconds(500),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            MaxDelay = LongestWait,
            // Null leaves the wait to the back-off above.
            DelayGenerator = static args => ValueTask.FromResult((args.Outcome.Exception as TransientStorageException)?.RetryAfter is { } asked
                ? (TimeSpan?)(asked < LongestWait ? asked : LongestWait)
                : null),
            OnRetry = args =>
            {
                retrying?.Invoke((TransientStorageException)args.Outcome.Exception!, args.RetryDelay);
                return ValueTask.CompletedTask;
            },
        }).Build();
    }

    /// <summary>Runs a call until it succeeds or fails for good.</summary>
    /// <param name="call">The call, with the number of earlier attempts of it.</param>
    /// <param name="cancel">Cancels, waits included.</param>
    /// <exception cref="StorageException">The last attempt's error.</exception>
    public async Task<T> RunAsync<T>(Func<int, CancellationToken, Task<T>> call, CancellationToken cancel)
    {
        var attempt = 0;
        return await _pipeline.ExecuteAsync(
            async token =>
            {
                var result = await call(attempt++, token);
                _heard = true;
                return result;
            },
            cancel);
    }

    private int AttemptsAfter(TransientStorageException failure)
    {
        _heard |= failure.IsAnswer;
        return _heard ? AttemptsWhenHeard : AttemptsUnheard;
    }
}
