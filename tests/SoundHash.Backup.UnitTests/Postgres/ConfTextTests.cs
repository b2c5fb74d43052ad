using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class ConfTextTests
{
    [Theory]
    [InlineData("", "''")]
    [InlineData("[ '/a'%f ]", "'[ ''/a''%f ]'")]
    [InlineData("a\\b", "'a\\\\b'")]
    public void A_value_is_quoted_as_ALTER_SYSTEM_does_it(string value, string quoted) =>
        Assert.Equal(quoted, ConfText.Quote(value));
}
