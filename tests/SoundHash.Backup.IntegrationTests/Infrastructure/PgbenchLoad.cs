using System.Diagnostics;
using System.Globalization;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A pgbench that writes to a server until the test has seen enough, in the database "postgres".</summary>
public sealed class PgbenchLoad : IAsyncDisposable
{
    /// <summary>Its invariant: the four sums are the same after any number of whole transactions.</summary>
    public const string Balances =
        """
        SELECT (SELECT sum(abalance) FROM pgbench_accounts) || ' ' || (SELECT sum(tbalance) FROM pgbench_tellers) || ' '
            || (SELECT sum(bbalance) FROM pgbench_branches) || ' ' || (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
        """;

    private readonly Process _process;

    private PgbenchLoad(Process process) => _process = process;

    /// <summary>Makes its tables.</summary>
    public static Task PrepareAsync(string host) =>
        Command.ShellAsync($"{PostgresPrograms.Directory}/pgbench -h '{host}' -U postgres -i -q -s 1 postgres", directory: "/");

    /// <summary>Starts it; two clients, no faster than a rate, so that it goes on while others work.</summary>
    public static PgbenchLoad Start(string host, int perSecond) => new(Command.Start(
        $"{PostgresPrograms.Directory}/pgbench",
        ["-n", "-h", host, "-U", "postgres", "-c", "2", "-T", "1000", "-R", perSecond.ToString(CultureInfo.InvariantCulture), "postgres"],
        null,
        "/"));

    /// <summary>Asserts the invariant in what a query of <see cref="Balances"/> gave.</summary>
    public static void AssertBalanced(string? balances) =>
        Assert.True(balances?.Split(' ').Distinct().Count() == 1, $"pgbench's balances differ: {balances}");

    public async ValueTask DisposeAsync()
    {
        // It ends by itself with its server. SIGINT it may ignore, when whoever runs the tests does.
        if (!_process.HasExited)
        {
            await Command.RunAsync("kill", "-TERM", _process.Id.ToString(CultureInfo.InvariantCulture));
        }

        await Command.FinishAsync(_process);
        _process.Dispose();
    }
}
