using System.Diagnostics;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests;

/// <summary>Timeouts that a role or a database has for its users are not meant for backups and restores.</summary>
public sealed class TimeoutTests(PostgresCluster cluster)
{
    // Longer than what is quick takes on a busy machine, and shorter than each of the waits below.
    private const string Timeout = "1s";

    // Loading checks each row, a new index and ANALYZE compute its expression.
    private const string SlowTable =
        """
        CREATE FUNCTION public.slow(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 FROM pg_catalog.pg_sleep(1.3)';
        CREATE TABLE a_held (id int CHECK (public.slow(id) > 0));
        CREATE INDEX ON a_held (public.slow(id));
        """;

    [Fact]
    public async Task Timeouts_of_role_and_database_end_neither_a_backup_nor_a_restore()
    {
        var database = await cluster.CreateDatabaseAsync(SlowTable + "INSERT INTO a_held VALUES (1)");
        var role = RestoreHelp.NewName("hasty");
        var existing = await cluster.CreateDatabaseAsync(SlowTable);
        await cluster.ExecuteAsync("postgres", $"CREATE ROLE {role} SUPERUSER LOGIN");
        // Before the timeouts, which would end this one.
        await using var other = await cluster.OpenAsync(database);
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN; LOCK TABLE a_held IN ACCESS EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        foreach (var subject in new[] { $"ROLE {role}", $"DATABASE {database}", $"DATABASE {existing}" })
        {
            await cluster.ExecuteAsync(
                "postgres",
                $"""
                DO $$ DECLARE name text; BEGIN
                  FOR name IN SELECT s.name FROM pg_settings s WHERE s.name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout',
                      'idle_in_transaction_session_timeout') LOOP
                    EXECUTE format('ALTER {subject} SET %I = %L', name, '{Timeout}');
                  END LOOP;
                END $$
                """);
        }

        using var work = new Workspace(cluster, database).Set("DATABASE_USER", role);
        using (var gate = new DumpGate(work, Moment.InTheMiddle))
        {
            using var backup = work.Start("backup");
            await LongerThanTheTimeoutAsync(backup, database, "wait_event_type = 'Lock'", "a lock is waited for");
            await other.CloseAsync();
            await gate.ReachedAsync(backup);
            await LongerThanTheTimeoutAsync(backup, database, "state = 'idle in transaction' AND application_name = 'shbackup'", "the snapshot is held");
            gate.Open();
            (await Command.FinishAsync(backup)).Expect(0);
        }

        work.Unset("PG_BIN_DIR");
        var target = RestoreHelp.NewName();
        var restored = (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);
        var filled = (await work.RunAsync("restore", "--latest", "--target-db", existing, "--data-only")).Expect(0);

        foreach (var (result, name) in new[] { (restored, target), (filled, existing) })
        {
            // ANALYZE that fails is no error.
            Assert.DoesNotContain("warning", result.Error, StringComparison.OrdinalIgnoreCase);
            Assert.Equal("1", await cluster.TextAsync(name, "SELECT reltuples::text FROM pg_class WHERE relname = 'a_held'"));
        }
    }

    private Task LongerThanTheTimeoutAsync(Process backup, string database, string state, string what) => Eventually.TrueAsync(
        async () => backup.HasExited ? throw new InvalidOperationException($"shbackup ended: {await backup.StandardError.ReadToEndAsync()}") : await cluster.TextAsync(
            "postgres",
            $"SELECT 'yes' FROM pg_stat_activity WHERE datname = '{database}' AND {state} AND state_change < now() - interval '{Timeout}' * 1.3 LIMIT 1") == "yes",
        what);
}
