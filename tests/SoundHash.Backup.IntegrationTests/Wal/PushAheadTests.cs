using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>While we are at work we archive the segments behind, one push at a time, and acknowledge those and nothing else.</summary>
public sealed class PushAheadTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    [Fact]
    public async Task A_burst_is_archived_by_one_start_and_its_acknowledgements_go_when_they_are_spent()
    {
        var command = (await cluster.TextAsync("postgres", "SHOW archive_command"))!;
        using var folder = new TempFolder();
        // Stands for the program, writes down its starts, and waits: meanwhile segments pile up.
        File.WriteAllText(
            folder["shbackup"],
            $"""
            #!/bin/sh
            echo "$*" >>{folder["started"]}
            while [ -e {folder["closed"]} ]; do sleep 0.02; done
            exec "{Workspace.Executable}" "$@"

            """);
        File.WriteAllText(folder["closed"], string.Empty);
        await Command.ShellAsync($"chmod -R a+rwx '{folder.Path}'");
        try
        {
            await cluster.SetArchiveCommandAsync(command.Replace(Workspace.Executable, folder["shbackup"], StringComparison.Ordinal));
            await cluster.SwitchUntilAsync(() => File.Exists(folder["started"]) && Started().Length > 0, "a push begins");
            var asked = Assert.Single(Started());
            while (Ready().Length < 9)
            {
                await cluster.SwitchWalAsync();
            }

            var burst = Ready().Where(s => s != asked).ToList();
            File.Delete(folder["closed"]);
            await cluster.ArchivedAsync(burst[^1]);

            Assert.Equal([asked], Started());
            Assert.Equal(burst, Acknowledged());
            foreach (var segment in burst)
            {
                var stored = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", segment);
                await Command.ShellAsync($"zstd -dcq \"{stored}\" | cmp - '{cluster.DataDirectory}/pg_wal/{segment}'");
            }

            var next = await cluster.SwitchWalAsync();
            await cluster.ArchivedAsync(next);
            Assert.Equal([asked, next], Started());
            Assert.Empty(Acknowledged());
        }
        finally
        {
            File.Delete(folder["closed"]);
            await cluster.SetArchiveCommandAsync(command);
            await Eventually.TrueAsync(() => Ready().Length == 0, "nothing waits to be archived");
        }

        string[] Started() => File.ReadAllLines(folder["started"]).Select(static l => l[^24..]).ToArray();
        string[] Ready() => Names($"{cluster.DataDirectory}/pg_wal/archive_status", "*.ready");
        string[] Acknowledged() => Names(Assert.Single(Directory.GetDirectories(cluster.Spool)), "0000*");
        static string[] Names(string path, string pattern) =>
            Directory.GetFiles(path, pattern).Select(static f => Path.GetFileNameWithoutExtension(f)).Order(StringComparer.Ordinal).ToArray();
    }

    [Fact]
    public async Task Histories_are_archived_ahead_too_and_only_whole_segments_are_acknowledged()
    {
        await using var waiting = await WaitingSegments.OfAsync(cluster, 3);
        var (asked, behind, unfinished) = (waiting.Segments[0], waiting.Segments[1], waiting.Segments[2]);
        await waiting.WriteAsync("00000002.history", "1\t0/100\tno recovery target specified\n");
        await waiting.WriteAsync($"{behind}.00000028.backup", "START WAL LOCATION: 0/100\n");
        await waiting.ReplaceAsync($"{unfinished}.partial", unfinished);
        await waiting.ReadyAsync(asked, behind, "00000002.history", $"{behind}.00000028.backup", $"{unfinished}.partial");

        (await waiting.PushAsync(asked)).Expect(0);

        Assert.Equal([behind], waiting.Acknowledged);
        await waiting.IsArchivedAsync(asked);
        Assert.Equal([behind, $"{behind}.sha256"], waiting.InArchive(behind));
        await waiting.IsArchivedAsync("00000002.history");
        Assert.Empty(waiting.InArchive(unfinished));
    }

    [Fact]
    public async Task While_a_history_can_not_be_archived_no_segment_is()
    {
        await using var waiting = await WaitingSegments.OfAsync(cluster, 2);
        await waiting.WriteAsync("00000002.history", "1\t0/100\tthe first to take the name\n");
        (await waiting.PushAsync("00000002.history")).Expect(0);
        await waiting.WriteAsync("00000002.history", "1\t0/200\tof another server\n");
        await waiting.ReadyAsync("00000002.history", waiting.Segments[0], waiting.Segments[1]);

        (await waiting.PushAsync(waiting.Segments[0])).Expect(8).Says("00000002.history").Says("with other content");

        Assert.Equal(["00000002.history", "00000002.history.sha256"], waiting.InArchive("0000"));
        Assert.Empty(waiting.Acknowledged);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_segment_that_was_read_ahead_and_is_another_or_no_longer_waits_is_not_archived(bool isReplaced)
    {
        await using var waiting = await WaitingSegments.OfAsync(cluster, 3);
        var (asked, ahead, other) = (waiting.Segments[0], waiting.Segments[1], waiting.Segments[2]);
        await waiting.HoldAsync();
        await waiting.ReadyAsync(asked, ahead);
        var push = waiting.StartPush(asked);
        await waiting.HeldAsync(2);

        if (isReplaced)
        {
            await waiting.ReplaceAsync(ahead, other);
        }
        else
        {
            waiting.Done(ahead);
        }

        waiting.LetGo();
        (await Command.FinishAsync(push)).Expect(0).Says($"{ahead} changed while it was archived ahead");

        await waiting.IsArchivedAsync(asked);
        Assert.Empty(waiting.InArchive(ahead));
        Assert.Empty(waiting.Acknowledged);
    }

    [Fact]
    public async Task A_second_push_waits_until_the_first_is_done()
    {
        await using var waiting = await WaitingSegments.OfAsync(cluster, 2);
        await waiting.HoldAsync();
        await waiting.ReadyAsync(waiting.Segments[0]);
        var first = waiting.StartPush(waiting.Segments[0]);
        await waiting.HeldAsync(1);

        await waiting.ReadyAsync(waiting.Segments[1]);
        var second = waiting.StartPush(waiting.Segments[1]);
        await waiting.IsAtLockAsync(second);
        Assert.Equal(1, waiting.Held);
        Assert.Equal($"{first.Id}", await waiting.PushingAsync());
        Assert.Empty(waiting.InArchive(waiting.Segments[1]));

        waiting.LetGo();
        (await Command.FinishAsync(first)).Expect(0);
        (await Command.FinishAsync(second)).Expect(0);
        await waiting.IsArchivedAsync(waiting.Segments[0]);
        await waiting.IsArchivedAsync(waiting.Segments[1]);
    }
}
