using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>A server that is killed while it recovers is no success, and needs no new restore.</summary>
public sealed class RecoveryInterruptionTests(LostCluster cluster) : IClassFixture<LostCluster>
{
    [Fact]
    public async Task A_server_that_is_killed_while_it_recovers_is_told_of_and_reaches_its_target_when_it_is_started_again()
    {
        await using var restored = await RestoredServer.PlaceAsync();
        var last = Directory.GetFiles(cluster.Archive, "0*", SearchOption.AllDirectories)
            .Where(static f => Path.GetFileName(f).Length == 24).Max(StringComparer.Ordinal)!;
        string[] arguments = ["restore", "--target-dir", restored.Data, "--start", "--env-file", cluster.EnvFile];
        // From the server's start on the last segment does not come until somebody writes to the pipe in its place.
        using var programs = await PostgresPrograms.WithOwnAsync(
            "pg_ctl",
            $$"""
            #!/bin/sh
            [ -p "{{last}}" ] || { mv "{{last}}" "{{last}}.away"; mkfifo "{{last}}"; }
            exec {{PostgresPrograms.Directory}}/pg_ctl "$@"

            """);
        var hold = new Dictionary<string, string?> { ["PG_BIN_DIR"] = programs.Path };
        using (var restore = Command.Start(Workspace.Executable, arguments, hold, cluster.Host))
        {
            var pid = Path.Combine(restored.Data, "postmaster.pid");
            await Eventually.TrueAsync(
                () => restore.HasExited || File.Exists(pid) && Logged(restored).Contains("redo starts at", StringComparison.Ordinal), "the server replays");
            if (restore.HasExited)
            {
                Assert.Fail($"the restore ended, and its server was never seen replaying: {await Command.FinishAsync(restore)}");
            }

            await Command.ShellAsync($"kill -9 {File.ReadLines(pid).First()}");

            var result = (await Command.FinishAsync(restore)).Expect(5);
            result.Says("is restored to").Says("its server ended").Says("hint: ");
        }

        // What still waits at the pipe, of the killed server, gets nothing.
        await Command.ShellAsync($"""timeout 1 sh -c ': >"$1"' sh "{last}" || true; mv "{last}.away" "{last}" """);
        await Eventually.TrueAsync(
            async () => (await Command.ShellAsync($"ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -c -- '-> {restored.Data}' || true")).Output.Trim() == "0",
            "the killed server's children end");
        await restored.StartAsync();
        await restored.PromotedAsync();

        Assert.Equal("1,2,3,4", await restored.TextAsync("SELECT string_agg(id::text, ',' ORDER BY id) FROM rows"));
    }

    private static string Logged(RestoredServer restored)
    {
        var folder = Path.Combine(restored.Data, "log");
        return Directory.Exists(folder) ? string.Concat(Directory.GetFiles(folder).Select(File.ReadAllText)) : string.Empty;
    }
}
