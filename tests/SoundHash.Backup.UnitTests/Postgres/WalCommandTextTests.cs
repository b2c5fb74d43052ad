using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class WalCommandTextTests
{
    public static TheoryData<string> Own =>
    [
        WalCommandText.Archive("/usr/local/bin/shbackup", null, "/var/spool/shbackup/1"),
        WalCommandText.Archive("/opt/it's 100% here/shbackup", "/etc/it's 100% here/.env", "/var/spool/it's 100% here/1"),
        "shbackup wal-archive push %p",
        "/usr/local/bin/shbackup --env-file /etc/shbackup/.env wal-archive push \"%p\"",
    ];

    [Theory]
    [MemberData(nameof(Own))]
    public void A_command_that_calls_shbackup_alone_is_known(string command) => Assert.True(WalCommandText.IsOursAlone(command));

    // A command of two is another's too, and to replace it cuts that one off.
    [Theory]
    [InlineData("pgbackrest --stanza=demo archive-push %p")]
    [InlineData("pgbackrest --stanza=demo archive-push %p && shbackup wal-archive push %p")]
    [InlineData("shbackup wal-archive push %p && cp %p /mnt/other/%f")]
    [InlineData("shbackup wal-archive push %p; cp %p /mnt/other/%f")]
    [InlineData("/usr/local/bin/both.sh shbackup wal-archive push %p")]
    [InlineData("cp %p /mnt/other/%f")]
    public void One_that_calls_another_program_too_is_not(string command) => Assert.False(WalCommandText.IsOursAlone(command));
}
