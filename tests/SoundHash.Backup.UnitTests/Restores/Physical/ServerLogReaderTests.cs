using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Restores.Physical;

public sealed class ServerLogReaderTests
{
    private const string Started = "LOG:  started streaming WAL from primary at 0/5000000 on timeline 1";

    private readonly ServerLogReader _log = new();

    // The stream begins, and only then the primary says that it no longer has the log.
    [Theory]
    [InlineData("FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment 000000010000000000000005 has already been removed")]
    [InlineData("FATAL:  could not connect to the primary server: connection refused")]
    [InlineData("FATAL:  streaming replication receiver \"walreceiver\" could not connect to the primary server: connection refused")]
    public void A_stream_that_ended_is_none_and_why_is_known(string failure)
    {
        _log.Read(Started);
        Assert.True(_log.IsStreaming);
        _log.Read(failure);
        Assert.False(_log.IsStreaming);
        Assert.Equal(failure["FATAL:  ".Length..], _log.NotStreaming);

        _log.Read(Started);
        Assert.True(_log.IsStreaming);
        Assert.Null(_log.NotStreaming);
    }

    [Fact]
    public void What_a_client_is_refused_with_says_nothing_of_the_stream()
    {
        _log.Read(Started);
        _log.Read("FATAL:  role \"nobody\" does not exist");
        Assert.True(_log.IsStreaming);
    }

    [Fact]
    public void What_restore_command_said_last_is_kept()
    {
        _log.Read("error: no identity matched any of the recipients");
        _log.Read("hint: set BACKUP_DECRYPTION_IDENTITY_FILE");
        _log.Read("FATAL:  could not locate required checkpoint record");
        Assert.Equal("no identity matched any of the recipients", _log.CommandError);
    }
}
