using SoundHash.Backup.IntegrationTests.Backups;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Cli;

/// <summary>Whoever waits sees that it goes on; whatever reads the result reads nothing else.</summary>
public sealed class ProgressTests(PostgresCluster cluster)
{
    [Fact]
    public async Task A_terminal_shows_a_bar_with_bytes_rate_and_time()
    {
        var shown = await UntilAsync("TERM=xterm script -qefc '$SHBACKUP backup' shown </dev/null >/dev/null", "shown", "backup [");

        Assert.Matches(@"backup \[#*\.*\] about \d+ %  [0-9.]+ [KM]iB  [0-9.]+ [KM]?i?B/s  [0-9.:]+", shown);
    }

    [Fact]
    public async Task Without_a_terminal_a_line_on_stderr_tells_now_and_then_how_far_it_is_and_stdout_holds_the_result_alone()
    {
        var shown = await UntilAsync("$SHBACKUP backup --json >result 2>shown", "shown", " backup [", static work =>
        {
            using var result = System.Text.Json.JsonDocument.Parse(Command.ReadText(Path.Combine(work.Folder, "result")));
            Assert.Equal(0, result.RootElement.GetProperty("exitCode").GetInt32());
        });

        Assert.DoesNotContain('\r', shown);
    }

    // Runs a backup that stands still in its middle until a file has the text.
    private async Task<string> UntilAsync(string command, string file, string text, Action<Workspace>? check = null)
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var backup = work.StartShell(command);
        var path = Path.Combine(work.Folder, file);
        await Eventually.TrueAsync(
            () => File.Exists(path) && Command.ReadText(path).Contains(text, StringComparison.Ordinal), $"'{text}' is shown");
        gate.Open();
        (await Command.FinishAsync(backup)).Expect(0);
        check?.Invoke(work);
        return Command.ReadText(path);
    }
}
