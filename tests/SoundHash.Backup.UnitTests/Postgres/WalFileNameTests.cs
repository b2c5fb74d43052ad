using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class WalFileNameTests
{
    [Theory]
    [InlineData("000000010000000000000001", WalFileKind.Segment)]
    [InlineData("0000000A00000000000000FF", WalFileKind.Segment)]
    [InlineData("000000010000000000000001.partial", WalFileKind.Partial)]
    [InlineData("000000010000000000000002.00000028.backup", WalFileKind.BackupHistory)]
    [InlineData("00000002.history", WalFileKind.TimelineHistory)]
    public void Every_kind_of_file_that_PostgreSQL_archives_is_known(string name, WalFileKind kind)
    {
        var read = WalFileName.Parse(name);
        Assert.Equal((name, kind, name[..8]), (read.Name, read.Kind, read.Timeline));
    }

    [Theory]
    [InlineData("00000002.history", 2)]
    [InlineData("0000000A00000000000000FF", 10)]
    [InlineData("FFFFFFFF0000000000000001.partial", uint.MaxValue)]
    public void The_timeline_is_a_hexadecimal_number(string name, uint timeline) =>
        Assert.Equal(timeline, WalFileName.Parse(name).TimelineNumber);

    [Theory]
    [InlineData("")]
    [InlineData("000000010000000000000001\n")]
    [InlineData("\n000000010000000000000001")]
    [InlineData("000000010000000000000001.partial\n")]
    [InlineData("00000002.history\n")]
    [InlineData("00000001000000000000000a")]
    [InlineData("../../000000010000000000000001")]
    [InlineData("../../x")]
    [InlineData("pg_wal/000000010000000000000001")]
    [InlineData("0000000100000000000000012")]
    [InlineData("00000001000000000000000")]
    [InlineData("000000010000000000000001.partial.partial")]
    [InlineData("000000010000000000000001.backup")]
    [InlineData("000000010000000000000001.0000002g.backup")]
    [InlineData("00000002.HISTORY")]
    [InlineData("0000000000000002.history")]
    [InlineData("000000010000000000000001.sha256")]
    [InlineData("٠٠٠٠٠٠٠١٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠١")]
    public void A_hostile_name_is_refused_as_wrong_usage(string name)
    {
        Assert.Null(WalFileName.TryParse(name));
        Assert.Equal(ErrorKind.Usage, Assert.Throws<BackupException>(() => WalFileName.Parse(name)).Kind);
    }
}
