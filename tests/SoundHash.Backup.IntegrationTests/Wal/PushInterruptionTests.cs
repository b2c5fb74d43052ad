using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>A push that is killed or ended is one that failed: PostgreSQL's archiver, which takes a signal for its own end, tries again.</summary>
public sealed class PushInterruptionTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    // What is above, PostgreSQL takes for the end by a signal, or for one of the shell (src/backend/postmaster/pgarch.c).
    private const int HighestThatIsTriedAgain = 125;

    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    [InlineData("INT")]
    [InlineData("HUP")]
    public async Task The_command_of_a_push_that_is_killed_in_the_middle_fails_as_any_other_and_the_next_one_archives_the_segment(string signal)
    {
        await using var waiting = await WaitingSegments.OfAsync(cluster, 2);
        var (asked, behind) = (waiting.Segments[0], waiting.Segments[1]);
        await waiting.HoldAsync();
        await waiting.ReadyAsync(asked, behind);
        var command = await waiting.StartCommandAsync(asked);
        await waiting.HeldAsync(2);

        await Command.ShellAsync($"kill -{signal} {await waiting.PushingAsync()}");

        Assert.InRange((await Command.FinishAsync(command)).ExitCode, 1, HighestThatIsTriedAgain);
        Assert.Empty(waiting.InArchive(asked));
        Assert.Empty(waiting.InArchive(behind));
        Assert.Empty(waiting.Acknowledged);

        waiting.LetGo();
        (await waiting.RunCommandAsync(asked)).Expect(0);
        await waiting.IsArchivedAsync(asked);
        Assert.Equal([behind], waiting.Acknowledged);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_push_that_is_ended_without_a_shell_around_it_says_1(string signal)
    {
        await using var waiting = await WaitingSegments.OfAsync(cluster, 1);
        await waiting.HoldAsync();
        await waiting.ReadyAsync(waiting.Segments[0]);
        var push = waiting.StartPush(waiting.Segments[0]);
        await waiting.HeldAsync(1);

        await Command.ShellAsync($"kill -{signal} {push.Id}");

        (await Command.FinishAsync(push)).Expect(1);
    }

    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    public async Task The_archiver_outlives_pushes_that_are_killed(string signal)
    {
        var command = (await cluster.TextAsync("postgres", "SHOW archive_command"))!;
        using var folder = new TempFolder();
        // Stands for the program, and is killed once.
        File.WriteAllText(
            folder["shbackup"],
            $"""
            #!/bin/sh
            rm {folder["kill"]} 2>/dev/null && kill -{signal} $$
            exec "{Workspace.Executable}" "$@"

            """);
        File.WriteAllText(folder["kill"], string.Empty);
        await Command.ShellAsync($"chmod -R a+rwx '{folder.Path}'");
        var said = File.ReadAllText(cluster.LogFile).Length;
        try
        {
            await cluster.SetArchiveCommandAsync(command.Replace(Workspace.Executable, folder["shbackup"], StringComparison.Ordinal));
            await cluster.SwitchUntilAsync(() => !File.Exists(folder["kill"]), "a push is killed");

            await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
            var log = File.ReadAllText(cluster.LogFile)[said..];
            Assert.Contains("archive command failed with exit code 1\n", log, StringComparison.Ordinal);
            Assert.DoesNotContain("archiver process", log, StringComparison.Ordinal);
        }
        finally
        {
            await cluster.SetArchiveCommandAsync(command);
        }
    }
}
