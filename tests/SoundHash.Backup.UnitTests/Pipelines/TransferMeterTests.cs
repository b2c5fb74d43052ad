using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>Progress, and the rate that a run is held to.</summary>
public sealed class TransferMeterTests
{
    private readonly FakeTime _time = new();

    [Fact]
    public async Task Without_a_rate_nobody_waits_and_all_bytes_are_counted()
    {
        var meter = new TransferMeter(_time);
        _time.Advance(TimeSpan.FromSeconds(5));

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(
            async () =>
            {
                for (var i = 0; i < 10_000; i++)
                {
                    await meter.AddAsync(3, Cancel);
                }
            },
            Cancel)));

        Assert.Equal(240_000, meter.Bytes);
        Assert.Equal(TimeSpan.FromSeconds(5), meter.Elapsed);
    }

    [Fact]
    public async Task A_rate_makes_each_chunk_wait_for_the_time_that_it_takes()
    {
        var meter = new TransferMeter(_time, bytesPerSecond: 1000);

        var first = meter.AddAsync(500, Cancel).AsTask();
        _time.Advance(TimeSpan.FromMilliseconds(499));
        Assert.False(first.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await first;

        var second = meter.AddAsync(2000, Cancel).AsTask();
        _time.Advance(TimeSpan.FromMilliseconds(1999));
        Assert.False(second.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await second;
    }

    [Fact]
    public async Task A_rate_holds_for_all_streams_together()
    {
        var meter = new TransferMeter(_time, bytesPerSecond: 1000);

        var streams = Enumerable.Range(0, 4).Select(_ => meter.AddAsync(1000, Cancel).AsTask()).ToList();
        foreach (var done in (int[])[1, 2, 3, 4])
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await streams[done - 1];
            Assert.Equal(done, streams.Count(static s => s.IsCompleted));
        }
    }

    [Fact]
    public async Task Who_is_slower_than_the_rate_does_not_wait()
    {
        var meter = new TransferMeter(_time, bytesPerSecond: 1000);

        for (var i = 0; i < 10; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            var add = meter.AddAsync(1000, Cancel);
            Assert.True(add.IsCompletedSuccessfully);
            await add;
        }

        Assert.Equal(10_000, meter.Bytes);
    }

    [Fact]
    public async Task An_hour_without_bytes_is_no_licence_for_an_hour_of_bytes_at_once()
    {
        var meter = new TransferMeter(_time, bytesPerSecond: 1000);
        _time.Advance(TimeSpan.FromHours(1));

        var first = meter.AddAsync(1000, Cancel).AsTask();
        var second = meter.AddAsync(1000, Cancel).AsTask();
        var third = meter.AddAsync(1000, Cancel).AsTask();

        Assert.False(third.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(3));
        await Task.WhenAll(first, second, third);
    }

    [Fact]
    public async Task Waiting_for_the_rate_can_be_cancelled()
    {
        var stop = new CancellationTokenSource();
        var meter = new TransferMeter(_time, bytesPerSecond: 1);
        var add = meter.AddAsync(1000, stop.Token).AsTask();

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => add);
    }
}
