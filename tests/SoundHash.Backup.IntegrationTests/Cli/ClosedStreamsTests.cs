using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Cli;

/// <summary>A verb that is started without stdin, stdout or stderr.</summary>
public sealed class ClosedStreamsTests(PostgresCluster cluster)
{
    [Theory]
    [InlineData("backup list")]
    [InlineData("backup list --json")]
    public async Task A_result_that_nobody_can_get_is_a_failure_and_no_crash(string verb)
    {
        using var work = new Workspace(cluster, "postgres");
        await work.BackupAsync();

        var result = await Command.FinishAsync(work.StartShell($"\"$SHBACKUP\" {verb} <&- >&-"));

        result.Expect(1).Says("can't write the result to stdout: it is closed");
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("restore --help")]
    [InlineData("--version")]
    public async Task Help_that_nobody_can_read_is_no_error_of_the_program(string asked)
    {
        using var work = new Workspace(cluster, "postgres");

        var result = await Command.FinishAsync(work.StartShell($"\"$SHBACKUP\" {asked} >&-"));

        result.Expect(1).Says("could not print: ");
        Assert.DoesNotContain("internal error", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_any_of_them_no_file_takes_their_place_and_the_set_is_good()
    {
        using var work = new Workspace(cluster, "postgres");

        (await Command.FinishAsync(work.StartShell("\"$SHBACKUP\" backup <&- >&- 2>&-"))).Expect(1);

        (await work.RunAsync("backup", "verify", "--all", "--deep")).Expect(0);
        (await Command.FinishAsync(work.StartShell("\"$SHBACKUP\" backup verify --all <&- 2>&-"))).Expect(0);
    }
}
