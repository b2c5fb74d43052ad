using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class TimelineHistoryTests
{
    // As PostgreSQL 15 writes it.
    private const string Third = "1\t0/3000148\tno recovery target specified\n\n2\t0/5000000\tbefore 2026-11-22 12:00:00+00\n";

    [Fact]
    public void A_history_file_of_PostgreSQL_is_read()
    {
        var history = TimelineHistory.Parse(3, Third);
        Assert.Equal("00000003.history", history.FileName);
        Assert.Equal(
            [new TimelineSwitch(1, Lsn.Parse("0/3000148"), "no recovery target specified"), new(2, Lsn.Parse("0/5000000"), "before 2026-11-22 12:00:00+00")],
            history.Ancestors);
    }

    [Fact]
    public void Comments_empty_lines_and_other_line_ends_are_passed_over() =>
        Assert.Equal(1U, Assert.Single(TimelineHistory.Parse(2, "# made by hand\r\n\r\n  1 0/3000000 why not\r\n").Ancestors).Timeline);

    [Fact]
    public void It_tells_where_each_ancestor_ended_and_whose_log_a_position_is_in()
    {
        var history = TimelineHistory.Parse(3, Third);
        Assert.Equal(Lsn.Parse("0/5000000"), history.SwitchFrom(2));
        Assert.Null(history.SwitchFrom(3));
        Assert.Null(history.SwitchFrom(4));
        Assert.Equal(
            [1, 1, 2, 2, 3, 3],
            new[] { "0/0", "0/3000147", "0/3000148", "0/4FFFFFF", "0/5000000", "9/0" }.Select(l => history.TimelineAt(Lsn.Parse(l))));
    }

    // As PostgreSQL writes it for a copy that followed timeline 2 and was promoted before that had begun: tliOfPointInHistory, timeline.c.
    [Fact]
    public void A_timeline_that_was_left_before_it_began_has_no_part_in_the_line()
    {
        var history = TimelineHistory.Parse(3, "1\t0/5000000\tx\n2\t0/3000148\tat a restore point");
        Assert.Equal(Lsn.Parse("0/3000148"), history.SwitchFrom(1));
        Assert.Equal([1, 3, 3], new[] { "0/3000147", "0/3000148", "0/5000000" }.Select(l => history.TimelineAt(Lsn.Parse(l))));
    }

    [Theory]
    [InlineData("one\t0/3000148\tx")]
    [InlineData("1")]
    [InlineData("1\tnowhere\tx")]
    [InlineData("3\t0/3000148\tits own")]
    [InlineData("4\t0/3000148\ta later one")]
    [InlineData("2\t0/3000148\tx\n1\t0/5000000\tnot in order")]
    [InlineData("1\t0/3000148\tx\n1\t0/5000000\ttwice")]
    [InlineData("-1\t0/3000148\tx")]
    public void What_makes_no_sense_is_refused(string text) => Assert.Throws<FormatException>(() => TimelineHistory.Parse(3, text));
}
