using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>Lost, or not yet archived?</summary>
public sealed class WalWalkTests : IDisposable
{
    private static readonly DateTimeOffset Later = TestSets.Noon.AddDays(1);
    private static readonly Manifest Base =
        TestWal.Physical("base", TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(4, 40)), TestSets.Noon);

    private readonly TempFolder _folder = new();

    [Fact]
    public void What_the_archiver_still_has_to_do_is_not_lost()
    {
        var findings = Walk(TestWal.Entries(1, 3, 5), Server(9, wal: [6, 7, 8, 9], ready: [6, 7, 8]));
        Assert.Equal([(6UL, 8UL, WalGapState.Pending)], findings);
    }

    [Fact]
    public void What_the_archiver_takes_for_archived_and_the_server_still_has_can_be_repaired()
    {
        var findings = Walk(TestWal.Entries(1, 3, 5), Server(9, wal: [6, 7, 8, 9], ready: [8]));
        Assert.Equal([(6UL, 7UL, WalGapState.OnServer), (8UL, 8UL, WalGapState.Pending)], findings);
    }

    [Fact]
    public void What_nobody_has_is_lost()
    {
        var findings = Walk(TestWal.Entries(1, 3, 5).Concat(TestWal.Entries(1, 8, 8)), Server(9, wal: [7, 8, 9], ready: []));
        Assert.Equal([(6UL, 6UL, WalGapState.Lost), (7UL, 7UL, WalGapState.OnServer)], findings);
    }

    [Fact]
    public void A_server_that_has_moved_on_makes_missing_log_at_the_end_a_gap() =>
        Assert.Equal([(6UL, 8UL, WalGapState.Lost)], Walk(TestWal.Entries(1, 3, 5), Server(9, wal: [9], ready: [])));

    [Fact]
    public void The_segment_that_is_written_now_is_no_gap() =>
        Assert.Empty(Walk(TestWal.Entries(1, 3, 8), Server(9, wal: [9], ready: [])));

    [Fact]
    public void Without_a_server_what_was_just_overtaken_may_be_on_its_way_and_what_is_long_gone_is_lost()
    {
        var entries = TestWal.Entries(1, 3, 5).Concat(TestWal.Entries(1, 7, 8)).ToList();
        Assert.Equal([(6UL, 6UL, WalGapState.Pending)], Walk(entries, null, TestSets.Noon.AddMinutes(7).AddSeconds(50)));
        Assert.Equal([(6UL, 6UL, WalGapState.Lost)], Walk(entries, null));
    }

    [Fact]
    public void What_makes_a_base_backup_consistent_is_missed_also_behind_the_end_of_the_archive() =>
        Assert.Equal([(4UL, 4UL, WalGapState.Lost)], Walk(TestWal.Entries(1, 3, 3), null));

    [Fact]
    public void After_a_promotion_the_new_timeline_is_walked_from_the_switch_to_the_server()
    {
        var server = Server(7, wal: [7], ready: [5]) with { Timeline = 2 };
        var history = TestWal.History(2, (1, TestWal.At(5, 1000)));
        var findings = new WalWalk(Loaded(TestWal.Entries(1, 3, 4), history), [Base], server, Later)
            .Timelines().Single(static t => t.Chain.Line.Timeline == 2).Findings;
        Assert.Equal(
            [(TestWal.Segment(2, 5), WalGapState.Pending), (TestWal.Segment(2, 6), WalGapState.Lost)],
            findings.Select(static f => (f.Gap.First, f.State)));
    }

    [Fact]
    public void Where_no_base_backup_is_the_log_is_walked_from_what_is_there()
    {
        var entries = TestWal.Entries(1, 3, 5).Concat(TestWal.Entries(1, 7, 8));
        var walk = Assert.Single(new WalWalk(Loaded(entries), [], null, Later).Timelines());
        Assert.Null(walk.Set);
        Assert.Equal(TestWal.Segment(1, 6), Assert.Single(walk.Findings).Gap.First);
    }

    public void Dispose() => _folder.Dispose();

    private List<(ulong, ulong, WalGapState)> Walk(IEnumerable<WalEntry> entries, ServerWal? server, DateTimeOffset? now = null) =>
        Assert.Single(new WalWalk(Loaded(entries), [Base], server, now ?? Later).Timelines())
            .Findings.Select(static f => (f.Gap.First.Number, f.Gap.Last.Number, f.State)).ToList();

    private LoadedWal Loaded(IEnumerable<WalEntry> entries, params TimelineHistory[] histories) => new(
        new WalArchive(new LocalObjectStore(_folder.Path), TestWal.System), new WalIndex(TestWal.SegmentBytes, entries, histories), []);

    private static ServerWal Server(ulong current, ulong[] wal, ulong[] ready) => new(
        TestWal.System,
        1,
        TestWal.At(current, 100),
        TestWal.SegmentBytes,
        InRecovery: false,
        "on",
        "shbackup wal-archive push %p",
        "/data",
        new ArchiverStatistics(null, null, null, null),
        Names(wal),
        Names(ready));

    private static HashSet<string> Names(ulong[] numbers) =>
        numbers.SelectMany(static n => (string[])[TestWal.Segment(1, n).Name, TestWal.Segment(2, n).Name]).ToHashSet();
}
