using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Which WAL may go. Segment N was stored N days after the epoch of these tests.</summary>
public sealed class WalRetentionTests
{
    private static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimelineHistory Second = TestWal.History(2, (1, TestWal.At(50, 1000)));

    [Fact]
    public void All_log_stays_from_the_start_of_the_newest_good_set_that_ended_before_the_window()
    {
        var plan = Decide(Index(Days(1, 1, 90)), 60, [Set("a", 10), Set("b", 40), Set("c", 70)]);
        Assert.Equal(Names(1, Range(1, 9).Concat(Range(12, 39))), Removed(plan));
        Assert.Equal("b", Assert.Single(plan.Anchors).Id);
    }

    [Fact]
    public void An_older_set_keeps_the_log_from_its_start_to_its_stop()
    {
        var plan = Decide(Index(Days(1, 1, 90)), 60, [Set("a", 10, segments: 3), Set("b", 40)]);
        var kept = plan.Decisions.Where(static d => d.Reason == "set a needs it to be consistent").Select(static d => d.Entry.Name.Name);
        Assert.Equal(Names(1, Range(10, 13)), kept);
    }

    [Fact]
    public void A_set_that_ended_within_the_window_does_not_stand_for_its_beginning()
    {
        var plan = Decide(Index(Days(1, 1, 90)), 60, [Set("a", 30), Set("b", 61)]);
        Assert.Equal(Names(1, Range(1, 29)), Removed(plan));
    }

    [Fact]
    public void A_set_that_is_not_good_does_not_stand_for_its_beginning_and_keeps_its_own_log()
    {
        var plan = Decide(Index(Days(1, 1, 90)), 60, [Set("a", 30), Set("b", 50) with { IsGood = false }]);
        Assert.Equal(Names(1, Range(1, 29)), Removed(plan));
        var older = Decide(Index(Days(1, 1, 90)), 60, [Set("a", 30) with { IsGood = false }, Set("b", 50)]);
        Assert.Equal(Names(1, Range(1, 29).Concat(Range(32, 49))), Removed(older));
    }

    [Fact]
    public void Where_no_set_ended_before_the_window_all_log_since_the_oldest_stays()
    {
        var plan = Decide(Index(Days(1, 1, 90)), 60, [Set("b", 70), Set("c", 80)]);
        // What is older than the window and before every set, nothing can be recovered with.
        Assert.Equal(Names(1, Range(1, 59)), Removed(plan));
        Assert.Empty(plan.Anchors);
    }

    [Fact]
    public void Pieces_that_were_never_completed_go_as_their_segment_would_and_no_others()
    {
        // Timeline 1 ended in segment 50; a receiver left pieces of the one in which its old server died, and is at 91 of timeline 2.
        List<WalEntry> pieces =
        [
            TestWal.Entry(TestWal.Segment(1, 5).Name, Epoch.AddDays(5)), TestWal.Entry(TestWal.Segment(1, 58).Name, Epoch.AddDays(58)),
            TestWal.Entry(TestWal.Segment(1, 80).Name, Epoch.AddDays(80)), TestWal.Entry(TestWal.Segment(2, 91).Name, Epoch.AddDays(59)),
        ];
        var index = Index(Days(1, 1, 49).Concat(Days(2, 50, 90)), Second);
        List<string> Gone(params WalSet[] sets) => WalRetention.Decide(index, sets, Epoch.AddDays(60), null, pieces).Pieces
            .Where(static d => d.Removes).Select(static d => d.Entry.Name.Name).ToList();

        Assert.Equal([pieces[0].Name.Name, pieces[1].Name.Name], Gone(Set("b", 40)));
        Assert.Empty(Gone(Set("b", 40) with { IsGood = false }));
    }

    [Fact]
    public void Without_a_good_set_nothing_goes()
    {
        Assert.Empty(Removed(Decide(Index(Days(1, 1, 90)), 60, [])));
        Assert.Empty(Removed(Decide(Index(Days(1, 1, 90)), 60, [Set("a", 40) with { IsGood = false }])));
    }

    [Fact]
    public void Nothing_goes_that_was_stored_within_the_window()
    {
        // Uploaded again yesterday, after it was lost.
        var entries = Days(1, 1, 90).Select(static e => e.Name.Name == TestWal.Segment(1, 5).Name ? e with { Stored = Epoch.AddDays(89) } : e);
        Assert.DoesNotContain(TestWal.Segment(1, 5).Name, Removed(Decide(Index(entries), 60, [Set("b", 40)])));
    }

    [Fact]
    public void Histories_never_go()
    {
        var entries = Days(2, 50, 90).Append(TestWal.Entry("00000002.history", Epoch)).Append(TestWal.Entry("00000001.history", Epoch));
        Assert.Equal(Names(2, Range(50, 54)), Removed(Decide(Index(entries, Second), 85, [Set("b", 55, timeline: 2)])));
    }

    [Fact]
    public void Partial_files_and_those_of_base_backups_go_with_the_segment_they_are_named_after_and_not_before()
    {
        var entries = Days(1, 1, 90)
            .Concat(((ulong[])[5, 41]).SelectMany(static n => (WalEntry[])
            [
                TestWal.Entry($"{TestWal.Segment(1, n)}.partial", Epoch), TestWal.Entry($"{TestWal.Segment(1, n)}.00000028.backup", Epoch),
            ]));
        var removed = Removed(Decide(Index(entries), 60, [Set("b", 40)]));
        Assert.Contains($"{TestWal.Segment(1, 5)}.partial", removed);
        Assert.Contains($"{TestWal.Segment(1, 5)}.00000028.backup", removed);
        Assert.DoesNotContain(removed, static r => r.StartsWith(TestWal.Segment(1, 41).Name, StringComparison.Ordinal));
    }

    [Fact]
    public void A_set_that_is_being_written_keeps_all_from_where_it_says_and_one_that_does_not_say_keeps_all()
    {
        var index = Index(Days(1, 1, 90));
        Assert.Equal(Names(1, Range(1, 19)), Removed(WalRetention.Decide(index, [Set("b", 40)], Epoch.AddDays(60), TestWal.At(20, 500))));
        Assert.Empty(Removed(WalRetention.Decide(index, [Set("b", 40)], Epoch.AddDays(60), default(Lsn))));
    }

    [Fact]
    public void A_set_that_is_being_restored_keeps_all_from_its_start()
    {
        var plan = Decide(Index(Days(1, 1, 90)), 60, [Set("a", 10) with { IsInUse = true }, Set("b", 40)]);
        Assert.Equal(Names(1, Range(1, 9)), Removed(plan));
    }

    [Fact]
    public void After_a_switch_of_timelines_the_log_of_the_old_one_up_to_the_switch_stays()
    {
        var index = Index(Days(1, 1, 70).Concat(Days(2, 50, 90)), Second);
        // Timeline 1 went on until day 70. It may only be idle since then, whatever has a higher number.
        Assert.Equal(Names(1, Range(1, 39)), Removed(Decide(index, 75, [Set("b", 40)])));
        // Where it ended with the switch, no moment of the window lies on it.
        var ended = Index(Days(1, 1, 49).Concat(Days(2, 50, 90)), Second);
        Assert.Equal(Names(1, Range(1, 49)).Concat(Names(2, Range(50, 59))), Removed(Decide(ended, 75, [Set("b", 60, timeline: 2)])));
    }

    // Guards against this: a copy that was once promoted, and of which nothing is left but its history, had the higher number.
    [Fact]
    public void The_end_of_an_idle_timeline_stays_though_a_newer_one_once_left_it()
    {
        Assert.Empty(Removed(Decide(Index(Days(1, 40, 70), Second), 200, [Set("b", 40)])));
        Assert.Empty(Removed(Decide(Index(Days(1, 40, 70).Concat(Days(2, 50, 51)), Second), 200, [Set("b", 40)])));
    }

    [Fact]
    public void A_set_past_the_switch_does_not_stand_for_the_timeline_that_branched_off_before_it()
    {
        var index = Index(Days(1, 1, 90).Concat(Days(2, 50, 90)), Second);
        // Set b was made on timeline 1 after the switch to 2: recovery along 2 begins with set a.
        var plan = Decide(index, 80, [Set("a", 40), Set("b", 60)]);
        Assert.Equal(Names(1, Range(1, 39).Concat(Range(51, 59))), Removed(plan));
        Assert.Equal(["a", "b"], plan.Anchors.Select(static a => a.Id).Order());
    }

    [Fact]
    public void A_timeline_whose_history_can_not_be_read_keeps_the_log_of_every_set_that_may_lead_to_it()
    {
        var index = Index(Days(1, 1, 60).Concat(Days(2, 50, 90)));
        Assert.Equal(Names(1, Range(1, 9)), Removed(Decide(index, 70, [Set("a", 10), Set("b", 40)])));
        // A set of that timeline's own ends the doubt for its own log; and whether it left timeline 1 at its end is not known.
        Assert.Equal(
            Names(1, Range(1, 9)).Concat(Names(2, Range(50, 61))),
            Removed(Decide(index, 70, [Set("a", 10), Set("b", 62, timeline: 2)])));
    }

    [Fact]
    public void Sets_of_another_segment_size_keep_all()
    {
        var other = Set("b", 40);
        other = other with { Manifest = other.Manifest with { Physical = other.Facts with { WalSegmentBytes = 1 << 24 } } };
        Assert.Empty(Removed(Decide(Index(Days(1, 1, 90)), 60, [other])));
    }

    [Fact]
    public void Whatever_the_sets_and_the_window_recovery_within_it_stays_possible()
    {
        var random = TestRun.NewRandom();
        for (var round = 0; round < 300; round++)
        {
            var switchAt = (ulong)random.Next(2, 80);
            var history = TestWal.History(2, (1, TestWal.At(switchAt, (ulong)random.Next(0, TestWal.SegmentBytes))));
            var entries = Days(1, 1, switchAt).Concat(Days(2, switchAt, 90)).ToList();
            var index = Index(entries, history);
            var sets = Enumerable.Range(0, random.Next(1, 6)).Select(i =>
            {
                var start = (ulong)random.Next(1, 85);
                return Set($"s{i}", start, random.Next(0, 3), start + 3 < switchAt ? 1U : start > switchAt ? 2U : 1U) with { IsGood = random.Next(4) > 0 };
            }).Where(s => s.Facts.Timeline == 2 || s.Facts.LastSegment.Number < switchAt).ToList();
            var retentionStart = random.Next(5, 89);
            var kept = Index(
                Decide(index, retentionStart, sets).Decisions.Where(static d => !d.Removes).Select(static d => d.Entry), history);

            Assert.All(sets, s => Assert.Null(kept.FirstMissingFor(s.Facts)));
            foreach (var set in sets.Where(static s => s.IsGood))
            {
                var isAnchor = set == sets.Where(s => s.IsGood && s.Manifest.Stopped < Epoch.AddDays(retentionStart)).MaxBy(static s => s.Manifest.Stopped);
                if (isAnchor || set.Manifest.Stopped >= Epoch.AddDays(retentionStart))
                {
                    var chain = kept.ChainOf(set.Facts, 2);
                    Assert.True(chain.Gaps.Count == 0 && chain.ContiguousEnd == TestWal.Segment(2, 90), $"set {set.Manifest.Id} in round {round}");
                }
            }
        }
    }

    private static WalRetentionPlan Decide(WalIndex index, int retentionStart, IReadOnlyList<WalSet> sets) =>
        WalRetention.Decide(index, sets, Epoch.AddDays(retentionStart), null);

    private static WalSet Set(string id, ulong start, int segments = 1, uint timeline = 1)
    {
        var stop = start + (ulong)segments;
        var facts = TestWal.Facts(timeline, TestWal.At(start, 40), TestWal.At(stop, 400));
        var manifest = TestWal.Physical(id, facts, Epoch.AddDays(start)) with { Stopped = Epoch.AddDays(stop) };
        return new WalSet(manifest, IsGood: true, IsInUse: false);
    }

    private static WalIndex Index(IEnumerable<WalEntry> entries, params TimelineHistory[] histories) =>
        new(TestWal.SegmentBytes, entries, histories);

    private static IEnumerable<WalEntry> Days(uint timeline, ulong first, ulong last) =>
        Range(first, last).Select(n => TestWal.Entry(TestWal.Segment(timeline, n).Name, Epoch.AddDays(n)));

    private static IEnumerable<ulong> Range(ulong first, ulong last)
    {
        for (var number = first; number <= last; number++)
        {
            yield return number;
        }
    }

    private static IEnumerable<string> Names(uint timeline, IEnumerable<ulong> numbers) =>
        numbers.Select(n => TestWal.Segment(timeline, n).Name);

    private static List<string> Removed(WalRetentionPlan plan) => plan.Removals.Select(static e => e.Name.Name).ToList();
}
