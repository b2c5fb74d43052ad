using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class WalHeaderTests
{
    private static readonly WalSegment Segment = TestWal.Segment(2, 5);

    [Fact]
    public void A_header_is_read_from_the_first_bytes()
    {
        var header = WalHeader.TryRead(TestWal.Bytes(Segment).AsSpan(0, WalHeader.Bytes));
        Assert.Equal(new WalHeader(0xD110, 2, Segment.Start, TestWal.System, TestWal.SegmentBytes), header);
    }

    [Fact]
    public void Too_few_bytes_another_magic_or_no_long_header_is_none()
    {
        var bytes = TestWal.Bytes(Segment);
        Assert.Null(WalHeader.TryRead(bytes.AsSpan(0, WalHeader.Bytes - 1)));
        Assert.Null(WalHeader.TryRead(new byte[WalHeader.Bytes]));
        var magic = bytes.ToArray();
        magic[1] = 0xD2;
        Assert.Null(WalHeader.TryRead(magic));
        var shortHeader = bytes.ToArray();
        shortHeader[2] = 0;
        Assert.Null(WalHeader.TryRead(shortHeader));
    }

    [Fact]
    public void A_segment_that_is_what_its_name_says_passes() => Ensure(Header());

    [Theory]
    [InlineData("000000020000000000000006", "holds the log from 0/500000 on")]
    [InlineData("000000030000000000000005", "holds timeline 2")]
    [InlineData("000000010000000000000005", "holds timeline 2")]
    public void A_segment_under_another_name_is_refused(string name, string why)
    {
        var e = Assert.Throws<BackupException>(() => Ensure(Header(), name));
        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.Contains(why, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_segment_of_another_cluster_is_refused()
    {
        var e = Assert.Throws<BackupException>(() => Ensure(Header() with { SystemIdentifier = 42 }));
        Assert.Contains("system identifier 42", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData((1 << 20) - 1)]
    [InlineData(0)]
    [InlineData(1 << 21)]
    public void A_segment_of_another_length_is_refused(long bytes) =>
        Assert.Throws<BackupException>(() => Header().EnsureIs(TestWal.Name(Segment.Name), TestWal.System, null, bytes));

    [Fact]
    public void The_first_segment_after_a_promotion_may_carry_the_timeline_that_it_came_from()
    {
        var history = TestWal.History(2, (1, TestWal.At(5, 1000)));
        Ensure(Header() with { Timeline = 1 }, history: history);
        // What begins at the switch, or after it, can't.
        var next = TestWal.Segment(2, 6);
        Assert.Throws<BackupException>(() => Ensure(Header() with { Timeline = 1, Start = next.Start }, next.Name, history));
        Assert.Throws<BackupException>(
            () => Ensure(Header() with { Timeline = 1 }, history: TestWal.History(2, (1, TestWal.At(5)))));
        Assert.Throws<BackupException>(() => Ensure(Header() with { Timeline = 1 }));
        Assert.Throws<BackupException>(() => Ensure(Header() with { Timeline = 3 }, history: history));
    }

    [Fact]
    public void A_partial_segment_is_judged_by_the_segment_in_its_name()
    {
        Ensure(Header(), $"{Segment.Name}.partial");
        Assert.Throws<BackupException>(() => Ensure(Header(), $"{Segment.Next.Name}.partial"));
    }

    private static WalHeader Header() => WalHeader.TryRead(TestWal.Bytes(Segment))!;

    private static void Ensure(WalHeader header, string? name = null, TimelineHistory? history = null) =>
        header.EnsureIs(TestWal.Name(name ?? Segment.Name), TestWal.System, history, TestWal.SegmentBytes);
}
