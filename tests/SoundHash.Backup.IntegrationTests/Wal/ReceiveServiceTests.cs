using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>A receiver is a good service: systemd hears of it, and what it acknowledged can be recovered.</summary>
public sealed partial class ReceiveServiceTests(ReceivingCluster cluster) : IClassFixture<ReceivingCluster>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Systemd_hears_when_it_streams_that_it_is_alive_and_that_it_stops(bool isAbstract)
    {
        var name = Path.Combine(cluster.Host, $"notify-{Guid.NewGuid():n}");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(isAbstract ? $"\0{name}" : name));
        if (!isAbstract)
        {
            File.SetUnixFileMode(name, (UnixFileMode)0x1FF);
        }

        using var process = cluster.StartShbackup(
            [$"NOTIFY_SOCKET={(isAbstract ? "@" : string.Empty)}{name}", "WATCHDOG_USEC=1000000"],
            ["wal-archive", "receive", "--env-file", cluster.EnvFile]);
        await using var receiver = new Receiver(process);

        // Read from the beginning: who tells the watchdog waits when there is no room for it.
        await UntilAsync(socket, "READY=1");
        await receiver.StreamsAsync();
        await UntilAsync(socket, "WATCHDOG=1");
        await UntilAsync(socket, "WATCHDOG=1");
        Assert.Equal(0, await receiver.EndAsync("TERM"));
        await UntilAsync(socket, "STOPPING=1");
        Assert.Empty(cluster.Programs("pg_receivewal"));
        Assert.DoesNotContain("error", receiver.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Systemd_is_told_how_far_the_archive_is_behind_in_bytes_and_in_seconds()
    {
        var name = Path.Combine(cluster.Host, "notify-status");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(name));
        File.SetUnixFileMode(name, (UnixFileMode)0x1FF);
        // What is committed is in no piece before the test is over.
        using var process = cluster.StartShbackup(
            [$"NOTIFY_SOCKET={name}"], ["wal-archive", "receive", "--env-file", cluster.EnvFile, "--flush-seconds", "3600"]);
        await using var receiver = new Receiver(process);
        await receiver.StreamsAsync();
        await cluster.ConvergesAsync(await cluster.SwitchWalAsync());
        await cluster.CommitAsync("not archived");

        // Nothing yet where it was said before the commit, or in its second.
        await UntilAsync(socket, static said => Behind().Match(said) is { Success: true } behind
            && behind.Groups["bytes"].Value != "0" && behind.Groups["seconds"].Value != "0");
        Assert.Equal(0, await receiver.EndAsync());
    }

    [Fact]
    public async Task A_server_is_recovered_from_pieces_up_to_the_last_commit_that_was_flushed()
    {
        await using var receiver = await cluster.ReceiveAsync();
        await using var copy = await ClusterCopy.OfAsync(cluster);
        await cluster.FillAsync();
        var lsn = await cluster.CommitAsync("the last one before the loss");
        await Eventually.TrueAsync(async () => await cluster.IsFlushedAsync(lsn), "the commit is in a piece");

        await copy.RecoverAsync(cluster);

        Assert.Equal("1", await copy.TextAsync("SELECT count(*)::text FROM marker WHERE t = 'the last one before the loss'"));
        Assert.Contains("bytes of it are from pieces", await copy.LogAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_standby_gets_no_pieces()
    {
        await using var receiver = await cluster.ReceiveAsync();
        await cluster.SwitchWalAsync();
        var lsn = await cluster.CommitAsync("not for a standby");
        await Eventually.TrueAsync(async () => await cluster.IsFlushedAsync(lsn), "the commit is in a piece");
        var segment = (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
        using var folder = new TempFolder("standby");
        await Command.ShellAsync($"mkdir -p '{folder["data/global"]}' '{folder["data/pg_wal"]}'; cp '{cluster.DataDirectory}/global/pg_control' '{folder["data/global"]}'");
        File.WriteAllText(folder["data/standby.signal"], string.Empty);
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        string[] fetch = ["wal-archive", "fetch", segment, "pg_wal/RECOVERYXLOG", "--env-file", cluster.EnvFile];

        (await ArchivingCluster.RunInAsync(folder["data"], fetch)).Expect(1);

        File.Delete(folder["data/standby.signal"]);
        (await ArchivingCluster.RunInAsync(folder["data"], fetch)).Expect(1);
        File.WriteAllText(folder["data/recovery.signal"], string.Empty);
        (await ArchivingCluster.RunInAsync(folder["data"], fetch)).Expect(0);
        Assert.Equal(16 * 1024 * 1024, new FileInfo(folder["data/pg_wal/RECOVERYXLOG"]).Length);
    }

    [Fact]
    public async Task Pieces_are_given_unless_pg_wal_has_as_much_of_that_very_segment()
    {
        var receiver = await cluster.ReceiveAsync();
        var other = await cluster.SwitchWalAsync();
        var lsn = await cluster.CommitAsync("behind the copy");
        await Eventually.TrueAsync(async () => await cluster.IsFlushedAsync(lsn), "the commit is in a piece");
        await receiver.EndAsync("TERM");
        await receiver.DisposeAsync();
        var segment = (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
        using var folder = new TempFolder("snapshot");
        await Command.ShellAsync($"mkdir -p '{folder["data/global"]}' '{folder["data/pg_wal"]}'; cp '{cluster.DataDirectory}/global/pg_control' '{folder["data/global"]}'");
        File.WriteAllText(folder["data/recovery.signal"], string.Empty);
        async Task<CommandResult> FetchWithOwnAsync(string copied, int kept)
        {
            var own = folder[$"data/pg_wal/{segment}"];
            File.Copy(Path.Combine(cluster.DataDirectory, "pg_wal", copied), own, overwrite: true);
            using (var file = File.OpenWrite(own))
            {
                file.SetLength(kept);
                file.SetLength(16 << 20);
            }

            await ArchivingCluster.GiveToPostgresAsync(folder.Path);
            return await ArchivingCluster.RunInAsync(folder["data"], "wal-archive", "fetch", segment, "pg_wal/RECOVERYXLOG", "--env-file", cluster.EnvFile);
        }

        (await FetchWithOwnAsync(segment, 16 << 20)).Expect(1);
        // A file that waits to be used again, and one that was copied before the pieces came.
        (await FetchWithOwnAsync(other, 16 << 20)).Expect(0).Says("are from pieces");
        (await FetchWithOwnAsync(segment, 100)).Expect(0).Says("are from pieces");
    }

    [Fact]
    public async Task With_synchronous_a_commit_waits_for_the_receiver_and_none_that_was_acknowledged_is_lost_with_the_server()
    {
        await using var copy = await StartedCopyAsync();
        await cluster.ExecuteAsync("postgres", "CREATE TABLE IF NOT EXISTS acknowledged (n int)");
        await cluster.ExecuteAsync("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'shbackup_wal'; SELECT pg_reload_conf()");
        var receiver = await cluster.ReceiveAsync("--synchronous");
        var last = 0;
        var commits = CommitUntilItFailsAsync(n => Volatile.Write(ref last, n));
        await Eventually.TrueAsync(() => Volatile.Read(ref last) > 20, "commits are acknowledged");
        await receiver.EndAsync("KILL");
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1",
            "a commit waits for the receiver that is gone");

        await cluster.CrashAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => commits);
        // The server is gone: what it acknowledged is on the receiver's machine, and is archived without it.
        (await cluster.RunAsync("wal-archive", "receive", "--env-file", cluster.EnvFile)).Expect(5);
        await receiver.DisposeAsync();

        await cluster.StartAgainAsync();
        await copy.RecoverAsync(cluster);
        Assert.Equal($"{last}", await copy.TextAsync($"SELECT count(DISTINCT n)::text FROM acknowledged WHERE n <= {last}"));
        await cluster.ExecuteAsync("postgres", "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()");
    }

    [Fact]
    public async Task What_was_acknowledged_is_archived_after_a_crash_of_the_receiver_s_machine_whose_first_start_could_not_write()
    {
        await using var copy = await StartedCopyAsync();
        await cluster.ExecuteAsync("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'shbackup_wal'; SELECT pg_reload_conf()");
        var archive = await cluster.ArchiveOfClusterAsync();
        await using (var receiver = await cluster.ReceiveAsync("--synchronous"))
        {
            await cluster.CommitAsync("acknowledged before the crash");
            await receiver.EndAsync("KILL");
        }

        await Eventually.TrueAsync(() => cluster.Programs("pg_receivewal").Count == 0, "pg_receivewal has ended too");
        var segment = Path.GetFileName(Directory.GetFiles(await cluster.ReceiveFolderAsync(), "*.partial").Single())[..24];
        var boot = Path.Combine(await cluster.ReceiveFolderAsync(), "boot");
        string[] Pieces() => Directory.GetFiles(archive, $"{segment}.*", SearchOption.AllDirectories);
        Array.ForEach(Pieces(), File.Delete);
        await cluster.CrashAsync();

        // The machine is started again, with an archive that can't be written to and without the server.
        await File.WriteAllTextAsync(boot, "another run of the machine", TestContext.Current.CancellationToken);
        await Command.ShellAsync($"chmod -R a-w \"{archive}\"");
        (await cluster.RunAsync("wal-archive", "receive", "--env-file", cluster.EnvFile)).Expect(5).Says("is kept here");
        await Command.ShellAsync($"chmod -R u+w \"{archive}\"");
        Assert.Empty(Pieces());

        (await cluster.RunAsync("wal-archive", "receive", "--env-file", cluster.EnvFile)).Expect(5);

        await cluster.StartAgainAsync();
        await copy.RecoverAsync(cluster);
        Assert.Equal("1", await copy.TextAsync("SELECT count(*)::text FROM marker WHERE t = 'acknowledged before the crash'"));
        await cluster.ExecuteAsync("postgres", "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()");
    }

    private async Task CommitUntilItFailsAsync(Action<int> onAcknowledged)
    {
        for (var n = 1; ; n++)
        {
            await cluster.ExecuteAsync("postgres", $"INSERT INTO acknowledged VALUES ({n})");
            onAcknowledged(n);
        }
    }

    // A base backup, all of whose WAL is in the archive.
    private async Task<ClusterCopy> StartedCopyAsync()
    {
        await using var receiver = await cluster.ReceiveAsync();
        var copy = await ClusterCopy.OfAsync(cluster);
        await cluster.ConvergesAsync(await cluster.SwitchWalAsync());
        await receiver.EndAsync();
        return copy;
    }

    private static Task UntilAsync(Socket socket, string expected) => UntilAsync(socket, said => said == expected);

    private static async Task UntilAsync(Socket socket, Predicate<string> isExpected)
    {
        var buffer = new byte[4096];
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!isExpected(Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer, limit.Token))))
        {
        }
    }

    [GeneratedRegex(
        @"^STATUS=server [0-9A-F]+/[0-9A-F]+, received [0-9A-F]+/[0-9A-F]+, archived [0-9A-F]+/[0-9A-F]+, pieces \S+; behind by (?<bytes>\d+) bytes, (?<seconds>\d+) s; \d+ reconnects",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        10_000)]
    private static partial Regex Behind();
}
