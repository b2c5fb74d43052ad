using Npgsql;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

/// <summary>What a person is told to do about an error of the server.</summary>
public sealed class ServerErrorHintTests
{
    private static readonly ConnectionSettings Server = new("/run", 5432, "postgres", "Re Store");

    [Theory]
    [InlineData("permission denied to create database", "ALTER ROLE \"Re Store\" CREATEDB")]
    [InlineData("permission denied to rename database", "ALTER ROLE \"Re Store\" CREATEDB")]
    [InlineData("permission denied for table t", "GRANT the role what is missing")]
    [InlineData("query would be affected by row-level security policy for table \"t\"", "BYPASSRLS")]
    public void A_missing_privilege_is_told_with_the_command_that_gives_it(string message, string hint)
    {
        var e = ServerErrors.Failed(Server, new PostgresException(message, "ERROR", "ERROR", PostgresErrorCodes.InsufficientPrivilege));

        Assert.Contains(hint, e.Hint, StringComparison.Ordinal);
    }
}
