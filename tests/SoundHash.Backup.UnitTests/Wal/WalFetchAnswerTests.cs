using Serilog.Events;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>What is archived while a segment is looked for is never answered with the end of the log, nor with a gap.</summary>
public sealed class WalFetchAnswerTests : IDisposable
{
    private static readonly WalSegment Asked = ReceivedWal.Segment(5);
    private readonly RecoveringData _data = new();
    private readonly Random _random = TestRun.NewRandom();

    // A receiver archives the segment, then removes its pieces: before they are looked for, before or after the first of them is gone,
    // and before they are read.
    [Theory]
    [InlineData("listed", 2)]
    [InlineData("listed", 1)]
    [InlineData("listed", 0)]
    [InlineData("joined", 2)]
    [InlineData("joined", 1)]
    [InlineData("read", 2)]
    public async Task A_segment_that_becomes_whole_while_its_pieces_are_looked_at_is_brought_whole(string when, int piecesThatAreGone)
    {
        var bytes = ReceivedWal.Bytes(Asked, _random);
        await _data.ArchiveAsync(ReceivedWal.Segment(4));
        WalPiece[] stored = [await _data.StoreAsync(Asked, bytes, 0, 1000), await _data.StoreAsync(Asked, bytes, 1000, 2000)];
        var looks = 0;
        _data.Store.BeforeList = prefix => prefix.Contains("/streaming/", StringComparison.Ordinal) && ++looks == (when == "listed" ? 1 : 3)
            && when != "read" ? BecomesWholeAsync() : Task.CompletedTask;
        _data.Store.BeforeRead = key =>
            when == "read" && key.EndsWith(stored[1].Name, StringComparison.Ordinal) ? BecomesWholeAsync() : Task.CompletedTask;

        Assert.Equal(WalFetched.Whole, await _data.FetchAsync(Asked));

        Assert.Equal(bytes, await File.ReadAllBytesAsync(_data.Fetched, TestRun.Cancel));
        Assert.DoesNotContain(_data.Log.Messages(LogEventLevel.Information), static m => m.Contains("was never whole", StringComparison.Ordinal));

        async Task BecomesWholeAsync()
        {
            (_data.Store.BeforeList, _data.Store.BeforeRead) = (static _ => Task.CompletedTask, static _ => Task.CompletedTask);
            await _data.ArchiveAsync(Asked, bytes);
            // The last ones first, so that those that are left can be joined.
            foreach (var piece in stored.Reverse().Take(piecesThatAreGone))
            {
                await _data.Store.DeleteAsync(WalLayout.KeyOf(ReceivedWal.System, piece), TestRun.Cancel);
            }
        }
    }

    [Fact]
    public async Task A_segment_that_is_archived_after_a_later_one_is_brought_when_it_comes()
    {
        await _data.ArchiveAsync(ReceivedWal.Segment(6));
        var running = _data.FetchAsync(Asked);
        await _data.Time.UntilSomebodyWaitsAsync();

        await _data.ArchiveAsync(Asked);
        _data.Time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(WalFetched.Whole, await running);
    }

    [Fact]
    public async Task A_gap_is_one_when_it_still_is_after_some_seconds()
    {
        await _data.ArchiveAsync(ReceivedWal.Segment(6));
        var began = _data.Time.GetTimestamp();

        var error = await Assert.ThrowsAsync<BackupException>(() => _data.FetchInTimeAsync(Asked));

        Assert.Contains("that is a gap", error.Message, StringComparison.Ordinal);
        Assert.InRange(_data.Time.GetElapsedTime(began).TotalSeconds, 3, 15);
    }

    [Theory]
    [InlineData("recovery.signal", 4)]
    [InlineData("standby.signal", 4)]
    [InlineData("standby.signal", 6)]
    public async Task What_is_not_there_is_said_at_once_and_to_a_standby_what_is_in_a_gap_too(string signal, ulong archived)
    {
        File.Move(_data.Folder["recovery.signal"], _data.Folder[signal]);
        await _data.ArchiveAsync(ReceivedWal.Segment(archived));

        // Nobody moves the clock.
        Assert.Equal(WalFetched.Absent, await _data.FetchAsync(Asked));
    }

    public void Dispose() => _data.Dispose();
}
