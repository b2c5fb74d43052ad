using System.Globalization;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>Pieces are the end of a timeline's log, and of nothing else.</summary>
public sealed class PieceTests(ReceivingCluster cluster) : IClassFixture<ReceivingCluster>
{
    private const int SegmentBytes = 16 << 20;

    [Fact]
    public async Task Pieces_are_given_only_where_nothing_later_of_their_timeline_is_there()
    {
        using var folder = new TempFolder("pieces");
        var (segment, _, _) = await ReceiveAsync(folder);
        await cluster.SwitchWalAsync();
        var later = await cluster.SwitchWalAsync();
        Assert.Equal(segment[..8], later[..8]);
        (await FetchAsync(folder, segment)).Expect(0).Says("are from pieces");

        // A segment that is missing before another one is a gap.
        foreach (var (path, code) in ((string, int)[])[($"streaming/{later}.00000000-00001000", 1), ($"{later[..8]}/{later}.partial", 1), ($"{later[..8]}/{later}", 200)])
        {
            await AddAsync(folder, path, $"cat '{cluster.DataDirectory}/pg_wal/{later}'");
            (await FetchAsync(folder, segment)).Expect(code);
            await Command.ShellAsync($"rm '{InArchive(folder, path)}'*");
        }

        // What is later on another timeline was written by another server.
        await AddAsync(folder, $"streaming/0000FFFF{later[8..]}.00000000-00001000", $"cat '{cluster.DataDirectory}/pg_wal/{later}'");
        (await FetchAsync(folder, segment)).Expect(0).Says("are from pieces");
    }

    [Fact]
    public async Task Where_other_timelines_left_theirs_within_the_segment_pieces_count_up_to_the_first_of_these_places()
    {
        using var folder = new TempFolder("pieces");
        var (segment, first, second) = await ReceiveAsync(folder);
        var (own, all) = (OffsetOf(first), OffsetOf(second));
        var server = await File.ReadAllBytesAsync(Path.Combine(cluster.DataDirectory, "pg_wal", segment), TestContext.Current.CancellationToken);
        // What the server wrote behind the second commit may be in pieces too.
        var both = server[..all];
        byte[] cut = [.. server[..own], .. new byte[SegmentBytes - own]];
        Assert.NotEqual(both, cut[..all]);
        Assert.Equal(both, await FetchedAsync(folder, segment, all));

        await BranchAsync(folder, 1, Before(first));
        Assert.Equal(both, await FetchedAsync(folder, segment, all));
        await BranchAsync(folder, 2, second);
        Assert.Equal(both, await FetchedAsync(folder, segment, all));
        await BranchAsync(folder, 3, first);
        Assert.Equal(cut, await FetchedAsync(folder, segment, SegmentBytes));
    }

    // A copy of the archive with pieces up to the second of two commits at least, and the data directory of a recovery without a server.
    private async Task<(string Segment, string First, string Second)> ReceiveAsync(TempFolder folder)
    {
        string first, second;
        await using (var receiver = await cluster.ReceiveAsync())
        {
            await cluster.SwitchWalAsync();
            first = await cluster.CommitAsync("before the branch");
            second = await cluster.CommitAsync("behind the branch");
            await Eventually.TrueAsync(async () => await cluster.IsFlushedAsync(second), "the commits are in pieces");
            Assert.Equal(0, await receiver.EndAsync());
        }

        await Command.ShellAsync(
            $"""
            cp -a "$ARCHIVE" '{folder["wal"]}'
            mkdir -p '{folder["data/global"]}' '{folder["data/pg_wal"]}'
            cp '{cluster.DataDirectory}/global/pg_control' '{folder["data/global"]}'
            touch '{folder["data/recovery.signal"]}'
            """,
            new Dictionary<string, string?> { ["ARCHIVE"] = cluster.Archive });
        await File.WriteAllLinesAsync(
            folder[".env"], [$"BACKUP_WAL_DIR={folder["wal"]}", $"BACKUP_SPOOL_DIR={folder["spool"]}"], TestContext.Current.CancellationToken);
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        return ((await cluster.TextAsync("postgres", $"SELECT pg_walfile_name('{first}')"))!, first, second);
    }

    private static Task<CommandResult> FetchAsync(TempFolder folder, string segment) => ArchivingCluster.RunInAsync(
        folder["data"], "wal-archive", "fetch", segment, "pg_wal/RECOVERYXLOG", "--env-file", folder[".env"]);

    // The first bytes of it.
    private static async Task<byte[]> FetchedAsync(TempFolder folder, string segment, int count)
    {
        (await FetchAsync(folder, segment)).Expect(0).Says("are from pieces");
        var bytes = await File.ReadAllBytesAsync(folder["data/pg_wal/RECOVERYXLOG"], TestContext.Current.CancellationToken);
        Assert.Equal(SegmentBytes, bytes.Length);
        return bytes[..count];
    }

    // The next timelines left the first one there. They have no gap in their numbers.
    private static async Task BranchAsync(TempFolder folder, int number, string lsn) => await AddAsync(
        folder, $"{number + 1:X8}.history", $"printf '1\\t{lsn}\\tno recovery target specified\\n'");

    private static async Task AddAsync(TempFolder folder, string path, string content)
    {
        await Command.ShellAsync(
            $"""
            {content} >'{InArchive(folder, path)}'
            cd "$(dirname '{InArchive(folder, path)}')"
            sha256sum "$(basename '{path}')" >"$(basename '{path}').sha256"
            """);
        await ArchivingCluster.GiveToPostgresAsync(folder["wal"]);
    }

    private static string InArchive(TempFolder folder, string path) => Path.Combine(Directory.GetDirectories(folder["wal"]).Single(), path);

    private static int OffsetOf(string lsn) => Position(lsn) % SegmentBytes;

    // In the segment before.
    private static string Before(string lsn) => string.Create(
        CultureInfo.InvariantCulture, $"{lsn.Split('/')[0]}/{Position(lsn) - OffsetOf(lsn) - 100:X}");

    private static int Position(string lsn) => Convert.ToInt32(lsn.Split('/')[1], 16);
}
