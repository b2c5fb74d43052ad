using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>A copy that reads ahead is as whole, and as safe, as one that reads and writes in turn.</summary>
public sealed class ReadAheadTests
{
    private readonly TransferMeter _meter = new(TimeProvider.System);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(StreamCopy.ChunkBytes)]
    [InlineData((StreamCopy.ChunkBytes * 3) + 17)]
    public async Task Every_byte_arrives_in_its_order_however_the_reads_are_cut(int size)
    {
        var random = NewRandom();
        var bytes = random.Noise(size);
        var target = new MemoryTarget(size);

        await StreamCopy.ReadAheadAsync(new ScriptedStream(bytes, () => random.Next(1, 100_000)), target, _meter, Cancel);

        Assert.Equal(bytes, target.Bytes.ToArray());
        Assert.Equal(size, _meter.Bytes);
    }

    [Fact]
    public async Task What_the_source_says_at_its_end_is_thrown()
    {
        var failure = new IOException("not what was recorded");
        var bytes = NewRandom().Noise(StreamCopy.ChunkBytes * 2);

        Assert.Same(failure, await Assert.ThrowsAsync<IOException>(
            () => StreamCopy.ReadAheadAsync(new ScriptedStream(bytes, null, failure), new MemoryTarget(bytes.Length), _meter, Cancel)));
    }

    [Fact]
    public async Task A_target_that_fails_ends_the_read_that_is_under_way_before_its_error_is_thrown()
    {
        var source = new EndlessSecondRead();

        var e = await Assert.ThrowsAsync<IOException>(() => StreamCopy.ReadAheadAsync(source, new FullTarget(source.Waits), _meter, Cancel));

        Assert.Equal("full", e.Message);
        Assert.True(source.HasEnded);
    }

    // Gives one chunk, and then waits until it is cancelled.
    private sealed class EndlessSecondRead : ReadStage
    {
        private readonly TaskCompletionSource _waits = new();
        private bool _given;

        public Task Waits => _waits.Task;

        public bool HasEnded { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!_given)
            {
                _given = true;
                return buffer.Length;
            }

            try
            {
                _waits.TrySetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
                return 0;
            }
            finally
            {
                HasEnded = true;
            }
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    // Fails as soon as the source is read besides.
    private sealed class FullTarget(Task when) : WriteStage
    {
        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await when.WaitAsync(cancellationToken);
            throw new IOException("full");
        }

        public override Task CompleteAsync(CancellationToken cancel) => Task.CompletedTask;

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
