using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class WalSegmentTests
{
    public static TheoryData<int> Sizes => [.. Enumerable.Range(20, 11).Select(static bits => 1 << bits)];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Names_of_every_segment_size_go_there_and_back(int size)
    {
        var random = TestRun.NewRandom();
        for (var i = 0; i < 200; i++)
        {
            var segment = WalSegment.Of((uint)random.Next(1, int.MaxValue), new Lsn((ulong)random.NextInt64()), size);
            Assert.True(WalSegment.TryParse(segment.Name, size, out var read));
            Assert.Equal(segment, read);
            Assert.Equal(24, segment.Name.Length);
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void After_the_last_segment_of_four_GiB_comes_the_first_of_the_next(int size)
    {
        var last = WalSegment.Of(1, new Lsn(uint.MaxValue), size);
        Assert.Equal(new Lsn(1UL << 32), last.End);
        Assert.Equal("000000010000000100000000", last.Next.Name);
        Assert.Equal(last.End, last.Next.Start);
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_name_past_what_the_segment_size_allows_is_none(int size)
    {
        var perId = (1UL << 32) / (ulong)size;
        Assert.True(WalSegment.TryParse($"0000000100000000{perId - 1:X8}", size, out _));
        Assert.False(WalSegment.TryParse($"0000000100000000{perId:X8}", size, out _));
    }

    [Fact]
    public void Names_are_those_that_PostgreSQL_gives()
    {
        // SELECT pg_walfile_name('16/B374D848') on timeline 1 with segments of 16 MiB.
        Assert.Equal("0000000100000016000000B3", WalSegment.Of(1, Lsn.Parse("16/B374D848"), WalSegment.DefaultSizeBytes).Name);
    }

    [Fact]
    public void What_ends_at_a_boundary_lies_in_the_segment_before()
    {
        var boundary = new Lsn(5UL << 24);
        Assert.Equal(5UL, WalSegment.Of(1, boundary, 1 << 24).Number);
        Assert.Equal(4UL, WalSegment.Before(1, boundary, 1 << 24).Number);
        Assert.Equal(5UL, WalSegment.Before(1, new Lsn(boundary.Value + 1), 1 << 24).Number);
    }

    [Theory]
    [InlineData("")]
    [InlineData("00000001000000000000000")]
    [InlineData("0000000100000000000000001")]
    [InlineData("00000001000000000000000a")]
    [InlineData("000000000000000000000001")]
    [InlineData("00000001000000000000000G")]
    [InlineData("000000010000000000000001.partial")]
    public void What_is_no_segment_is_refused(string name) => Assert.False(WalSegment.TryParse(name, 1 << 24, out _));

    [Theory]
    [InlineData(1 << 19, false)]
    [InlineData(1 << 20, true)]
    [InlineData((1 << 20) + 1, false)]
    [InlineData(3 << 20, false)]
    [InlineData(1 << 30, true)]
    [InlineData(1L << 31, false)]
    [InlineData(0, false)]
    [InlineData(-(1 << 20), false)]
    public void Sizes_are_powers_of_two_from_one_MiB_to_one_GiB(long bytes, bool isSize) => Assert.Equal(isSize, WalSegment.IsSize(bytes));
}
