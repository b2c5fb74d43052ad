using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>How far the log in a segment goes is told by its records, and by nothing that a file has before they are written.</summary>
public sealed class WalSegmentLogTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Random _random = TestRun.NewRandom();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(30_000)]
    [InlineData(ReceivedWal.SegmentBytes)]
    public void A_segment_is_whole_when_its_log_goes_on_to_its_end(int continued)
    {
        var log = Read(ReceivedWal.Log(ReceivedWal.Segment(5), _random, ReceivedWal.SegmentBytes, continued).Bytes);

        Assert.True(log.IsWhole);
        Assert.Equal(ReceivedWal.SegmentBytes, log.End);
        Assert.InRange(log.Unproven, continued, continued == 0 ? 0 : continued + 8192);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(30_000)]
    public void What_is_not_written_yet_is_no_log_whatever_stands_there(int continued)
    {
        var (bytes, ends) = ReceivedWal.Log(ReceivedWal.Segment(5), _random, 200_000, continued);
        Assert.Equal((ends[^1], false), (Read(bytes).End, Read(bytes).IsWhole));

        // Of the segment that the file was before.
        var reused = ReceivedWal.Log(ReceivedWal.Segment(3), _random, ReceivedWal.SegmentBytes).Bytes;
        var page = (ends[^1] + 8191) / 8192 * 8192;
        reused.AsSpan(page).CopyTo(bytes.AsSpan(page));
        Assert.Equal((ends[^1], false), (Read(bytes).End, Read(bytes).IsWhole));
    }

    [Fact]
    public void The_log_ends_before_a_record_with_a_wrong_bit()
    {
        var (bytes, ends) = ReceivedWal.Log(ReceivedWal.Segment(5), _random, ReceivedWal.SegmentBytes);
        var at = ends[ends.Count / 2] + 4;
        at += at % 8192 < 24 ? 24 : 0;
        bytes[at] ^= 1;

        Assert.Equal((ends.Last(e => e <= at), false), (Read(bytes).End, Read(bytes).IsWhole));
    }

    [Fact]
    public void A_record_that_a_crash_had_cut_and_the_server_gave_up_does_not_end_the_log()
    {
        var log = Read(ReceivedWal.Log(ReceivedWal.Segment(5), _random, ReceivedWal.SegmentBytes, givenUp: 100_000).Bytes);

        Assert.Equal((ReceivedWal.SegmentBytes, true), (log.End, log.IsWhole));
    }

    [Fact]
    public void A_file_without_a_header_has_no_log()
    {
        Assert.Null(WalSegmentLog.TryRead(_folder["absent"], TestRun.Cancel));
        File.WriteAllBytes(_folder["zeros"], new byte[ReceivedWal.SegmentBytes]);
        Assert.Null(WalSegmentLog.TryRead(_folder["zeros"], TestRun.Cancel));
    }

    public void Dispose() => _folder.Dispose();

    private WalSegmentLog Read(byte[] bytes)
    {
        File.WriteAllBytes(_folder["segment"], bytes);
        return WalSegmentLog.TryRead(_folder["segment"], TestRun.Cancel)!;
    }
}
