using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Storage;

/// <summary>Reading on where a connection broke.</summary>
public sealed class ResumingReadTests
{
    private static readonly byte[] Bytes = Enumerable.Range(0, 1000).Select(static n => (byte)(n * 7)).ToArray();
    private TimeSpan _stall = TimeSpan.FromSeconds(60);
    private TimeSpan _firstWait = TimeSpan.FromMilliseconds(1);
    private readonly List<long> _opened = [];
    private int _disposed;

    [Theory]
    [InlineData(0)]
    [InlineData(300)]
    public async Task What_broke_is_opened_at_the_right_byte(int offset)
    {
        await using var read = Read(offset, [Breaks(after: 100), Breaks(after: 0), Breaks(after: 250), Whole()]);

        Assert.Equal(Bytes[offset..], await AllAsync(read));

        Assert.Equal([offset + 100, offset + 100, offset + 350], _opened);
        Assert.Equal(3, _disposed);
    }

    [Fact]
    public async Task A_short_answer_is_no_end()
    {
        await using var read = Read(0, [Ends(after: 400), Ends(after: 0), Whole()]);

        Assert.Equal(Bytes, await AllAsync(read));

        Assert.Equal([400, 400], _opened);
    }

    [Fact]
    public async Task No_more_is_read_than_the_object_has()
    {
        await using var read = Read(0, [new Answer([.. Bytes, 1, 2, 3], null)]);

        Assert.Equal(Bytes, await AllAsync(read));
    }

    [Fact]
    public async Task The_end_of_an_object_is_empty()
    {
        await using var read = Read(1000, [Whole()]);

        Assert.Equal(0, await read.ReadAsync(new byte[10], Cancel));
    }

    [Fact]
    public async Task A_place_where_ten_attempts_break_is_an_error()
    {
        await using var read = Read(0, [Breaks(after: 100), .. Enumerable.Repeat(Breaks(after: 0), 20)]);

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => AllAsync(read));

        Assert.Equal("broken", e.InnerException!.Message);
        Assert.Equal(9, _opened.Count);
    }

    [Fact]
    public async Task Each_place_has_attempts_of_its_own()
    {
        await using var read = Read(0, [.. Enumerable.Repeat(Breaks(after: 50), 19), Whole()]);

        Assert.Equal(Bytes, await AllAsync(read));
    }

    [Fact]
    public async Task What_will_not_pass_ends_it_at_once()
    {
        await using var final = Read(0, [new Answer(Bytes[..10], new InvalidOperationException("final"))]);
        Assert.Equal("final", (await Assert.ThrowsAsync<StorageException>(() => AllAsync(final))).Message);

        await using var gone = Read(0, [Breaks(after: 10), new Answer([], new ObjectMissingException("s", "k"), OnOpen: true)]);
        await Assert.ThrowsAsync<ObjectMissingException>(() => AllAsync(gone));
    }

    [Fact]
    public async Task A_read_that_stands_still_is_opened_again()
    {
        _stall = TimeSpan.FromSeconds(0.2);
        await using var read = Read(0, [new Answer(Bytes[..500], null, Stalls: true), Whole()]);

        Assert.Equal(Bytes, await AllAsync(read));

        Assert.Equal([500], _opened);
    }

    [Fact]
    public async Task Cancelling_ends_a_read_and_a_wait()
    {
        _firstWait = TimeSpan.FromSeconds(20);
        foreach (var answer in (Answer[])[new Answer([], null, Stalls: true), Breaks(after: 0)])
        {
            using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            await using var read = Read(0, [answer, Breaks(after: 0)]);
            var reading = read.ReadAsync(new byte[10], cancel.Token).AsTask();
            Assert.False(reading.IsCompleted);

            await cancel.CancelAsync();

            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        }
    }

    private static Answer Breaks(int after) => new(Bytes[..after], new IOException("broken"));

    private static Answer Ends(int after) => new(Bytes[..after], null);

    private static Answer Whole() => new(Bytes, null);

    private ResumingRead Read(int offset, List<Answer> answers)
    {
        var next = 0;
        return new ResumingRead(Open(offset), offset, Bytes.Length, new ResumeRules(
            (at, _) =>
            {
                _opened.Add(at);
                return Task.FromResult(Open(at));
            },
            static e => e is IOException or TimeoutException
                ? new TransientStorageException("reading broke", inner: e)
                : new StorageException(e.Message, inner: e),
            _stall,
            _firstWait,
            TimeProvider.System));

        Stream Open(long at)
        {
            var answer = answers[next++];
            return answer is { OnOpen: true, Error: { } error } ? throw error : new Broken(this, answer, (int)at);
        }
    }

    private static async Task<byte[]> AllAsync(ResumingRead read)
    {
        using var all = new MemoryStream();
        await read.CopyToAsync(all, 64, Cancel);
        return all.ToArray();
    }

    private sealed record Answer(byte[] Given, Exception? Error, bool Stalls = false, bool OnOpen = false);

    // Gives so many bytes from where it was opened, then fails, stands still or ends. Whole answers count from the object's beginning.
    private sealed class Broken(ResumingReadTests test, Answer answer, int at) : MemoryStream(
        answer.Given.Length >= Bytes.Length ? answer.Given[at..] : Bytes[at..Math.Min(at + answer.Given.Length, Bytes.Length)])
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (await base.ReadAsync(buffer, cancellationToken) is > 0 and var read)
            {
                return read;
            }

            if (answer.Stalls)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            }

            return answer.Error is { } error ? throw error : 0;
        }

        protected override void Dispose(bool disposing)
        {
            test._disposed++;
            base.Dispose(disposing);
        }
    }
}
