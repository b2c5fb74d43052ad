using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>What is missing before a timeline's beginning is a gap to whoever recovers to it, and to nobody else.</summary>
public sealed class WalFetchGapTests : IDisposable
{
    private static readonly WalSegment Asked = ReceivedWal.Segment(5);
    private static readonly DateTime Started = new(2026, 11, 22, 2, 0, 0, DateTimeKind.Utc);
    private readonly RecoveringData _data = new();
    private readonly Random _random = TestRun.NewRandom();

    public WalFetchGapTests()
    {
        File.WriteAllText(_data.Folder["postmaster.opts"], "postgres");
        File.SetLastWriteTimeUtc(_data.Folder["postmaster.opts"], Started);
    }

    // Timeline 2 left timeline 1 in segment 7, or just before segment 6.
    [Theory]
    [InlineData("1\t0/700100\tno recovery target specified\n")]
    [InlineData("1\t0/600000\tno recovery target specified\n")]
    public async Task A_segment_before_the_switch_to_the_timeline_that_is_recovered_is_missing(string history)
    {
        await _data.ArchiveAsync(ReceivedWal.Segment(7, timeline: 2));
        Follow(2, history);

        var error = await Assert.ThrowsAsync<BackupException>(() => _data.FetchInTimeAsync(Asked));

        Assert.Contains("that is a gap", error.Message, StringComparison.Ordinal);
        Assert.Contains(ReceivedWal.Segment(7, timeline: 2).Name, error.Message, StringComparison.Ordinal);
        Assert.Contains("recovery_target_timeline = '1'", error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_timeline_on_the_way_has_archived_counts_too()
    {
        await _data.ArchiveAsync(ReceivedWal.Segment(7, timeline: 2));
        Follow(2, "1\t0/700100\t\n");
        Follow(3, "1\t0/700100\t\n2\t0/900100\t\n");

        Assert.Contains("timeline 3", (await Assert.ThrowsAsync<BackupException>(() => _data.FetchInTimeAsync(Asked))).Message, StringComparison.Ordinal);
    }

    // PostgreSQL asks for the segment of the switch on the new timeline first; behind it, on the old one, when the new one has no more.
    [Theory]
    [InlineData("1\t0/500100\tin the segment\n")]
    [InlineData("1\t0/500000\tat its beginning\n")]
    [InlineData("1\t0/400100\tbefore it\n")]
    public async Task The_segment_of_the_switch_and_those_behind_it_may_be_absent(string history)
    {
        await _data.ArchiveAsync(ReceivedWal.Segment(7, timeline: 2));
        Follow(2, history);

        Assert.Equal(WalFetched.Absent, await _data.FetchAsync(Asked));
    }

    [Theory]
    [InlineData("left by an earlier start")]
    [InlineData("without a start")]
    [InlineData("of no archived segment")]
    [InlineData("of another descent")]
    [InlineData("beside the one that is recovered")]
    [InlineData("whole in pg_wal")]
    public async Task A_timeline_that_is_not_recovered_or_needs_nothing_of_the_archive_makes_no_gap(string which)
    {
        await _data.ArchiveAsync(which == "of no archived segment" ? ReceivedWal.Segment(4) : ReceivedWal.Segment(7, timeline: 2));
        var path = Follow(2, which == "of another descent" ? "" : "1\t0/700100\t\n");
        switch (which)
        {
            case "left by an earlier start":
                File.SetLastWriteTimeUtc(path, Started.AddSeconds(-1));
                break;
            case "without a start":
                File.Delete(_data.Folder["postmaster.opts"]);
                break;
            case "beside the one that is recovered":
                Follow(3, "1\t0/500100\t\n");
                break;
            case "whole in pg_wal":
                await File.WriteAllBytesAsync(_data.Folder[$"pg_wal/{Asked.Name}"], Whole(), TestRun.Cancel);
                break;
        }

        Assert.Equal(WalFetched.Absent, await _data.FetchAsync(Asked));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Before_the_switch_pieces_are_given_only_when_they_hold_all_of_the_segment(bool areWhole)
    {
        var bytes = Whole();
        await _data.ArchiveAsync(ReceivedWal.Segment(7, timeline: 2));
        await _data.StoreAsync(Asked, bytes, 0, areWhole ? bytes.Length : 500_000);
        Follow(2, "1\t0/700100\t\n");

        if (areWhole)
        {
            Assert.Equal(WalFetched.Pieces, await _data.FetchAsync(Asked));
            Assert.Equal(bytes, await File.ReadAllBytesAsync(_data.Fetched, TestRun.Cancel));
            return;
        }

        Assert.Contains("that is a gap", (await Assert.ThrowsAsync<BackupException>(() => _data.FetchInTimeAsync(Asked))).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_data.Fetched));
    }

    public void Dispose() => _data.Dispose();

    private byte[] Whole() => ReceivedWal.Log(Asked, _random, ReceivedWal.SegmentBytes).Bytes;

    // As PostgreSQL does when it begins to recover.
    private string Follow(uint timeline, string history)
    {
        var path = _data.Folder[$"pg_wal/{TimelineHistory.NameOf(timeline)}"];
        File.WriteAllText(path, history);
        File.SetLastWriteTimeUtc(path, Started);
        return path;
    }
}
