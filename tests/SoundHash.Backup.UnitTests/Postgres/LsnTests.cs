using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class LsnTests
{
    [Theory]
    [InlineData("0/0", 0UL)]
    [InlineData("16/B374D848", 0x16B374D848UL)]
    [InlineData("FFFFFFFF/FFFFFFFF", ulong.MaxValue)]
    [InlineData("1/0", 1UL << 32)]
    public void Text_is_read_and_written_as_PostgreSQL_does(string text, ulong value)
    {
        Assert.True(Lsn.TryParse(text, out var lsn));
        Assert.Equal(value, lsn.Value);
        Assert.Equal(text, lsn.ToString());
    }

    [Fact]
    public void Lower_case_and_leading_zeros_are_read_as_PostgreSQL_reads_them() =>
        Assert.Equal("A/B", Lsn.Parse("0000000a/0000000b").ToString());

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("0")]
    [InlineData("0/")]
    [InlineData("/0")]
    [InlineData("0/0/0")]
    [InlineData("0/ 1")]
    [InlineData("-1/0")]
    [InlineData("0x1/0")]
    [InlineData("G/0")]
    [InlineData("000000001/0")]
    [InlineData("0/0\n")]
    public void What_is_no_position_is_refused(string? text)
    {
        Assert.False(Lsn.TryParse(text, out _));
        Assert.Throws<FormatException>(() => Lsn.Parse(text));
    }

    [Fact]
    public void Order_is_by_bytes_and_not_by_text()
    {
        Assert.True(Lsn.Parse("9/0") < Lsn.Parse("10/0"));
        Assert.True(Lsn.Parse("1/0") > Lsn.Parse("0/FFFFFFFF"));
        Assert.True(Lsn.Parse("1/1") <= Lsn.Parse("1/1") && Lsn.Parse("1/1") >= Lsn.Parse("1/1"));
        Assert.Equal(0, Lsn.Parse("1/1").CompareTo(Lsn.Parse("1/01")));
    }
}
