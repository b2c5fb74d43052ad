namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>The PostgreSQL that the tests run against: 15, unless tests/matrix.sh says another.</summary>
public static class PostgresPrograms
{
    /// <summary>The directory of server and client programs.</summary>
    public static string Directory { get; } = Environment.GetEnvironmentVariable("SHBACKUP_TEST_PG_BIN") ?? "/usr/lib/postgresql/15/bin";
}
