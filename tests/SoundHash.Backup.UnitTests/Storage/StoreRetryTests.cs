using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Storage;

/// <summary>How often and after what waits a call of a store is tried again.</summary>
public sealed class StoreRetryTests
{
    private readonly FakeTime _time = new();
    private readonly List<TimeSpan> _waits = [];
    private int _calls;

    [Fact]
    public async Task A_store_that_was_never_heard_of_gets_three_attempts()
    {
        var retry = new StoreRetry(_time, retrying: (_, wait) => _waits.Add(wait));

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => InTimeAsync(retry, static _ => throw Failure(isAnswer: false)));

        Assert.Equal("attempt 3", e.Message);
        Assert.Equal((3, 2), (_calls, _waits.Count));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_store_that_was_heard_of_gets_ten(bool byAnError)
    {
        var retry = new StoreRetry(_time, retrying: (_, wait) => _waits.Add(wait));
        if (!byAnError)
        {
            await retry.RunAsync(static (_, _) => Task.FromResult(1), Cancel);
        }

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => InTimeAsync(retry, n => throw Failure(isAnswer: byAnError && n == 0)));

        Assert.Equal("attempt 10", e.Message);
        Assert.Equal((10, 9), (_calls, _waits.Count));
        Assert.All(_waits, static w => Assert.InRange(w, TimeSpan.Zero, TimeSpan.FromSeconds(30)));
        Assert.InRange(_waits.Aggregate(TimeSpan.Zero, static (a, b) => a + b), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(5));
    }

    [Fact]
    public async Task A_call_that_succeeds_in_the_end_has_succeeded()
    {
        var retry = new StoreRetry(_time);

        Assert.Equal(2, await InTimeAsync(retry, static n => n == 2 ? n : throw Failure(isAnswer: false)));
    }

    [Theory]
    [InlineData(7, 7)]
    [InlineData(0, 0)]
    [InlineData(3600, 30)]
    public async Task The_wait_that_a_store_asks_for_is_kept_within_reason(int asked, int kept)
    {
        var retry = new StoreRetry(_time, retrying: (_, wait) => _waits.Add(wait));

        await InTimeAsync(retry, n => n == 1 ? n : throw Failure(isAnswer: true, TimeSpan.FromSeconds(asked)));

        Assert.Equal([TimeSpan.FromSeconds(kept)], _waits);
    }

    [Fact]
    public async Task What_will_not_pass_is_not_tried_again()
    {
        var retry = new StoreRetry(_time);
        foreach (var error in (Exception[])[new StorageException("final"), new ObjectMissingException("s", "k"), new InvalidOperationException("bug")])
        {
            _calls = 0;
            var e = await Assert.ThrowsAnyAsync<Exception>(() => InTimeAsync(retry, _ => throw error));
            Assert.Same(error, e);
            Assert.Equal(1, _calls);
        }
    }

    [Fact]
    public async Task Cancelling_ends_a_wait()
    {
        var retry = new StoreRetry(_time);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var running = retry.RunAsync<int>((_, _) => throw Failure(isAnswer: true, TimeSpan.FromSeconds(20)), cancel.Token);
        await _time.UntilSomebodyWaitsAsync();

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private TransientStorageException Numbered(TransientStorageException e) =>
        new($"attempt {_calls}", isAnswer: e.IsAnswer, retryAfter: e.RetryAfter);

    private static TransientStorageException Failure(bool isAnswer, TimeSpan? retryAfter = null) =>
        new("busy", isAnswer: isAnswer, retryAfter: retryAfter);

    // Moves the clock on whenever the call waits.
    private async Task<int> InTimeAsync(StoreRetry retry, Func<int, int> call)
    {
        var running = retry.RunAsync(
            (attempt, _) =>
            {
                Assert.Equal(_calls++, attempt);
                try
                {
                    return Task.FromResult(call(attempt));
                }
                catch (TransientStorageException e)
                {
                    throw Numbered(e);
                }
            },
            Cancel);
        while (await Task.WhenAny(running, _time.UntilSomebodyWaitsAsync()) != running)
        {
            _time.Advance(TimeSpan.FromSeconds(31));
        }

        return await running;
    }
}
