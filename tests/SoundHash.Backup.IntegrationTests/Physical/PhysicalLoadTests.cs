using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>Files that grow, shrink, vanish and appear while they are read are the normal case.</summary>
public sealed class PhysicalLoadTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    private const string Turmoil =
        """
        CREATE TABLE IF NOT EXISTS comes_and_goes (id int, filler text);
        INSERT INTO comes_and_goes SELECT g, repeat('x', 500) FROM generate_series(1, 4000) g;
        TRUNCATE comes_and_goes;
        DROP TABLE comes_and_goes;
        UPDATE shrinks SET filler = filler || 'x';
        VACUUM FULL shrinks;
        DELETE FROM cut WHERE id > 10;
        VACUUM cut;
        INSERT INTO cut SELECT g, repeat('y', 200) FROM generate_series(11, 3000) g;
        """;

    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    public async Task A_copy_of_a_busy_cluster_is_consistent_and_has_all_that_was_committed(string encryption)
    {
        var database = await cluster.CreateDatabaseAsync(
            "CREATE TABLE shrinks AS SELECT g AS id, repeat('z', 300) AS filler FROM generate_series(1, 3000) g; CREATE TABLE cut (id int, filler text)");
        await PgbenchAsync("-i", "-q", "-s", "3", database);
        using var work = cluster.Workspace();
        if (encryption == "age")
        {
            await work.UseAgeAsync();
        }

        using var calm = new CancellationTokenSource();
        using var load = StartPgbench(database);
        var turmoil = TurmoilAsync(database, calm.Token);
        work.Set("BACKUP_RATE_LIMIT", "60M");
        using var backup = work.Start([.. PhysicalProbe.Arguments, "--json"]);
        var peak = 0;
        while (!backup.HasExited)
        {
            peak = Math.Max(peak, PhysicalProbe.PeakMemory(backup));
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        var result = (await Command.FinishAsync(backup)).Expect(0);
        await calm.CancelAsync();
        var rounds = await turmoil;
        await Command.RunAsync("kill", "-INT", load.Id.ToString(CultureInfo.InvariantCulture));
        await Command.FinishAsync(load);
        Assert.True(rounds > 2, $"only {rounds} rounds of changes while the backup ran: {result}");
        Assert.InRange(peak, 1, 250);
        var id = Assert.Single(await work.SetsAsync());
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        var balances = (await cluster.TextAsync(database, PgbenchLoad.Balances))!;
        Assert.Single(balances.Split(' ').Distinct());
        await cluster.ArchiveAllAsync();

        await using var copy = await RestoredCopy.RestoreAsync(work, cluster, id);
        await copy.StartAsync();

        Assert.Equal(balances, await copy.TextAsync(database, PgbenchLoad.Balances));
        Assert.Equal("3000", await copy.TextAsync(database, "SELECT count(*)::text FROM shrinks"));
        await PostgresPrograms.CheckAsync(copy.Host, database);
    }

    [Fact]
    public async Task A_backup_of_a_standby_is_refused_with_what_to_do()
    {
        using var work = cluster.Workspace();
        var id = await work.BackupPhysicalAsync();
        await using var copy = await RestoredCopy.RestoreAsync(work, cluster, id);
        await copy.StartAsync(asStandby: true);
        work.Set("DATABASE_HOST", copy.Host);

        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(3).Says("is a standby").Says("hint:");
    }

    private async Task<int> TurmoilAsync(string database, CancellationToken cancel)
    {
        var rounds = 0;
        await using var connection = await cluster.OpenAsync(database);
        for (; !cancel.IsCancellationRequested; rounds++)
        {
            foreach (var statement in Turmoil.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                await using var command = new NpgsqlCommand(statement, connection);
                await command.ExecuteNonQueryAsync(CancellationToken.None);
            }
        }

        return rounds;
    }

    private Task<CommandResult> PgbenchAsync(params string[] arguments) =>
        Command.ShellAsync($"{PostgresPrograms.Directory}/pgbench -h '{cluster.Host}' -U postgres {string.Join(' ', arguments)}");

    private Process StartPgbench(string database) => Command.Start(
        $"{PostgresPrograms.Directory}/pgbench",
        ["-n", "-h", cluster.Host, "-U", "postgres", "-c", "2", "-T", "120", database],
        new Dictionary<string, string?>(),
        "/");
}
