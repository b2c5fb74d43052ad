using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.UnitTests.Repository;

public sealed class WalChainTests
{
    private static readonly TimelineHistory Second = TestWal.History(2, (1, TestWal.At(5, 1000)));

    [Fact]
    public void Consecutive_segments_are_one_chain_without_gaps()
    {
        var chain = Chain(Index(TestWal.Entries(1, 3, 9)), TestWal.Segment(1, 3), 1);
        Assert.Empty(chain.Gaps);
        Assert.Equal(TestWal.Segment(1, 9), chain.ContiguousEnd);
        Assert.Equal(TestSets.Noon.AddMinutes(9), chain.ContiguousStored);
        Assert.Equal(7, chain.Entries.Count);
    }

    [Fact]
    public void A_gap_is_told_by_its_first_and_last_segment_and_the_times_of_its_neighbours()
    {
        var chain = Chain(Index(TestWal.Entries(1, 3, 4).Concat(TestWal.Entries(1, 8, 9))), TestWal.Segment(1, 3), 1);
        var gap = Assert.Single(chain.Gaps);
        Assert.Equal((TestWal.Segment(1, 5), TestWal.Segment(1, 7), 3UL), (gap.First, gap.Last, gap.Count));
        Assert.Equal((TestSets.Noon.AddMinutes(4), TestSets.Noon.AddMinutes(8)), (gap.After, gap.Before));
        Assert.Equal(TestWal.Segment(1, 4), chain.ContiguousEnd);
    }

    [Fact]
    public void A_missing_first_segment_is_a_gap_and_nothing_is_reached()
    {
        var chain = Chain(Index(TestWal.Entries(1, 4, 9)), TestWal.Segment(1, 3), 1);
        var gap = Assert.Single(chain.Gaps);
        Assert.Equal((TestWal.Segment(1, 3), TestWal.Segment(1, 3)), (gap.First, gap.Last));
        Assert.Null(gap.After);
        Assert.Null(chain.ContiguousEnd);
        Assert.Null(chain.ContiguousStored);
        Assert.Null(chain.EndOf(TestWal.At(3, 100)));
    }

    [Fact]
    public void Where_nothing_is_archived_all_that_it_must_reach_is_missing()
    {
        var index = Index([]);
        Assert.Empty(Chain(index, TestWal.Segment(1, 3), 1).Gaps);
        var gap = Assert.Single(WalChain.Of(index, TestWal.Segment(1, 3), index.LineTo(1), 6).Gaps);
        Assert.Equal((TestWal.Segment(1, 3), TestWal.Segment(1, 6)), (gap.First, gap.Last));
        Assert.Null(gap.Before);
    }

    [Fact]
    public void A_timeline_that_branches_in_the_middle_of_a_segment_needs_that_segment_of_the_new_timeline_only()
    {
        // Segment 5 of timeline 1 was never completed: only its .partial is there.
        var entries = TestWal.Entries(1, 3, 4).Append(TestWal.Entry(TestWal.Segment(1, 5).Name + ".partial")).Concat(TestWal.Entries(2, 5, 8));
        var index = Index(entries, Second);
        var chain = Chain(index, TestWal.Segment(1, 3), 2);
        Assert.Empty(chain.Gaps);
        Assert.Equal(TestWal.Segment(2, 8), chain.ContiguousEnd);
        Assert.Equal([1, 1, 2, 2, 2, 2], chain.Entries.Select(static e => e.Segment.Timeline));
    }

    [Fact]
    public void The_segment_of_the_branch_on_the_old_timeline_does_not_stand_for_the_new_one()
    {
        var index = Index(TestWal.Entries(1, 3, 5).Concat(TestWal.Entries(2, 6, 8)), Second);
        var gap = Assert.Single(Chain(index, TestWal.Segment(1, 3), 2).Gaps);
        Assert.Equal((TestWal.Segment(2, 5), TestWal.Segment(2, 5)), (gap.First, gap.Last));
    }

    [Fact]
    public void A_timeline_that_branches_at_a_boundary_begins_with_its_own_segment()
    {
        var index = Index(
            TestWal.Entries(1, 3, 4).Concat(TestWal.Entries(2, 5, 6)), TestWal.History(2, (1, TestWal.At(5))));
        Assert.Empty(Chain(index, TestWal.Segment(1, 3), 2).Gaps);
    }

    [Fact]
    public void A_gap_may_go_from_one_timeline_over_to_the_next()
    {
        var index = Index(TestWal.Entries(1, 3, 3).Concat(TestWal.Entries(2, 7, 8)), Second);
        var gap = Assert.Single(Chain(index, TestWal.Segment(1, 3), 2).Gaps);
        Assert.Equal((TestWal.Segment(1, 4), TestWal.Segment(2, 6)), (gap.First, gap.Last));
    }

    [Fact]
    public void Two_switches_in_one_segment_leave_nothing_to_the_timeline_between()
    {
        var third = TestWal.History(3, (1, TestWal.At(5, 1000)), (2, TestWal.At(5, 2000)));
        var index = Index(TestWal.Entries(1, 3, 4).Concat(TestWal.Entries(3, 5, 6)), Second, third);
        var chain = Chain(index, TestWal.Segment(1, 3), 3);
        Assert.Empty(chain.Gaps);
        Assert.Equal(TestWal.Segment(3, 6), chain.ContiguousEnd);
    }

    [Fact]
    public void A_partial_file_or_one_without_its_sum_never_counts_as_a_whole_segment()
    {
        var index = Index(
        [
            .. TestWal.Entries(1, 3, 4),
            TestWal.Entry(TestWal.Segment(1, 5).Name + ".partial"),
            TestWal.Entry(TestWal.Segment(1, 5).Name + ".00000028.backup"),
            TestWal.Entry(TestWal.Segment(1, 6).Name, hasSum: false),
            .. TestWal.Entries(1, 7, 7),
        ]);
        var gap = Assert.Single(Chain(index, TestWal.Segment(1, 3), 1).Gaps);
        Assert.Equal((TestWal.Segment(1, 5), TestWal.Segment(1, 6)), (gap.First, gap.Last));
        Assert.False(index.Has(TestWal.Segment(1, 5)));
    }

    [Fact]
    public void What_a_clean_up_removed_is_no_gap_but_ends_what_can_be_reached()
    {
        var entries = TestWal.Entries(1, 3, 4).Concat(TestWal.Entries(1, 10, 12));
        var index = new WalIndex(TestWal.SegmentBytes, entries, [], [new WalRange(1, 0, 2), new WalRange(1, 5, 8)]);
        var chain = Chain(index, TestWal.Segment(1, 3), 1);
        var gap = Assert.Single(chain.Gaps);
        Assert.Equal((TestWal.Segment(1, 9), TestWal.Segment(1, 9)), (gap.First, gap.Last));
        Assert.Equal(TestWal.Segment(1, 4), chain.ContiguousEnd);
    }

    [Fact]
    public void A_file_with_a_name_far_away_makes_one_gap_and_no_endless_list()
    {
        var index = Index(TestWal.Entries(1, 3, 4).Append(TestWal.Entry("00000001FFFFFFFF00000FFF")));
        Assert.True(Assert.Single(Chain(index, TestWal.Segment(1, 3), 1).Gaps).Count > 1UL << 40);
    }

    [Fact]
    public void A_set_descends_into_a_timeline_only_when_it_was_consistent_before_the_switch()
    {
        var index = Index(TestWal.Entries(1, 3, 9).Concat(TestWal.Entries(2, 5, 9)), Second);
        var before = TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(5, 1000));
        var after = TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(5, 1001));
        Assert.Equal([1, 2], index.DescendantsOf(before));
        Assert.Equal(2U, index.NewestFrom(before));
        Assert.Equal([1], index.DescendantsOf(after));
        Assert.Equal(1U, index.NewestFrom(after));
    }

    [Fact]
    public void A_timeline_whose_history_is_not_known_is_nobodys_descendant()
    {
        var index = Index(TestWal.Entries(1, 3, 9).Concat(TestWal.Entries(2, 5, 9)));
        Assert.Equal([2], index.Unread);
        Assert.Equal([1], index.DescendantsOf(TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(4, 40))));
    }

    [Fact]
    public void The_window_of_a_set_goes_from_its_end_to_the_end_of_the_log_on_each_timeline_that_it_leads_to()
    {
        var index = Index(TestWal.Entries(1, 3, 6).Concat(TestWal.Entries(2, 5, 9)), Second);
        var set = TestWal.Physical("base", TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(4, 40)), TestSets.Noon);
        var reach = WalReach.Of(index, set);
        Assert.Equal([(1U, TestWal.At(7)), (2U, TestWal.At(10))], reach.Select(static r => (r.Timeline, r.To)));
        Assert.All(reach, r => Assert.Equal((TestWal.At(4, 40), set.Stopped), (r.From, r.FromTime)));
        Assert.Equal(TestSets.Noon.AddMinutes(9), reach[1].ToTime);
    }

    [Fact]
    public void A_gap_before_a_timeline_begins_keeps_the_window_from_it()
    {
        var index = Index(TestWal.Entries(1, 3, 3).Concat(TestWal.Entries(2, 5, 9)), Second);
        var facts = TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(3, 80));
        Assert.Equal([1U], WalReach.Of(index, TestWal.Physical("base", facts, TestSets.Noon)).Select(static r => r.Timeline));
    }

    [Theory]
    [InlineData(3, null)]
    [InlineData(4, null)]
    [InlineData(5, 5)]
    public void The_log_that_makes_a_set_consistent_is_told_to_be_missing_by_its_first_missing_segment(ulong last, int? missing)
    {
        var facts = TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(last, 40));
        var expected = missing is { } number ? TestWal.Segment(1, (ulong)number) : (WalSegment?)null;
        Assert.Equal(expected, Index(TestWal.Entries(1, 3, 4)).FirstMissingFor(facts));
    }

    [Fact]
    public void A_set_that_stops_at_a_boundary_needs_no_byte_of_the_next_segment()
    {
        var facts = TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(5));
        Assert.Null(Index(TestWal.Entries(1, 3, 4)).FirstMissingFor(facts));
    }

    [Fact]
    public void A_set_whose_last_segment_is_whole_only_on_the_next_timeline_is_consistent_there()
    {
        var index = Index(TestWal.Entries(1, 3, 4).Concat(TestWal.Entries(2, 5, 6)), Second);
        Assert.Null(index.FirstMissingFor(TestWal.Facts(1, TestWal.At(3, 40), TestWal.At(5, 500))));
    }

    private static WalIndex Index(IEnumerable<WalEntry> entries, params TimelineHistory[] histories) =>
        new(TestWal.SegmentBytes, entries, histories);

    private static WalChain Chain(WalIndex index, WalSegment first, uint timeline) => WalChain.Of(index, first, index.LineTo(timeline));

    // Without the key of an encrypted archive: what was lost at the failover must not pass for the end of the old timeline.
    [Theory]
    [InlineData(9, false, true)]
    [InlineData(8, false, false)]
    [InlineData(8, true, true)]
    public void A_timeline_whose_history_can_not_be_read_begins_where_an_older_one_ended(ulong lastOfOld, bool wasRemoved, bool isWhole)
    {
        var index = new WalIndex(
            TestWal.SegmentBytes,
            [.. TestWal.Entries(1, 3, lastOfOld), .. TestWal.Entries(2, 10, 12), TestWal.Entry("00000002.history")],
            [],
            wasRemoved ? [new WalRange(1, 9, 9)] : []);

        Assert.Equal(isWhole ? [] : [TestWal.Segment(2, 10)], index.BeginningsWithoutParent);
    }
}
