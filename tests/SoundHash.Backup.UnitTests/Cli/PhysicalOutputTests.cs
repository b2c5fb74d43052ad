using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Cli;

/// <summary>What people see of a recovery, and of gaps in the WAL.</summary>
public sealed class PhysicalOutputTests
{
    private const string Segment = "00000001000000020000000A";
    private static readonly DateTimeOffset Noon = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_recovering_server_is_where_its_log_and_its_answers_say()
    {
        Assert.Equal("replay  no segment yet  0 of at most 9  0.0/s", PhysicalOutput.Describe(new ReplayProgress(null, 0, 9, 0, null)));
        Assert.Equal(
            $"replay  segment {Segment}  5 of at most 9  2.5/s", PhysicalOutput.Describe(new ReplayProgress(Segment, 5, 9, 2.5, null)));
        Assert.Equal(
            $"replay  segment {Segment}  5 of at most 9  12.3/s  at 2/A000060 2026-11-22 12:00:00.5+00",
            PhysicalOutput.Describe(new ReplayProgress(Segment, 5, 9, 12.345, "2/A000060 2026-11-22 12:00:00.5+00")));
    }

    [Theory]
    [InlineData(0, 60, ", stored between 2026-11-22 12:00:00Z and 2026-11-22 12:01:00Z")]
    [InlineData(60, 0, ", stored between 2026-11-22 12:00:00Z and 2026-11-22 12:01:00Z")]
    [InlineData(0, null, ", after 2026-11-22 12:00:00Z")]
    [InlineData(null, 60, ", before 2026-11-22 12:01:00Z")]
    [InlineData(null, null, "")]
    public void A_gap_is_named_by_its_segments_and_the_time_between_its_neighbours(int? after, int? before, string span)
    {
        DateTimeOffset? At(int? seconds) => seconds is { } s ? Noon.AddSeconds(s) : null;

        Assert.Equal($"segment {Segment}{span}", WalText.Of(new WalGapResult(Segment, Segment, 1, At(after), At(before), "lost")));
        Assert.Equal(
            $"segments {Segment} to 00000001000000020000000C (3){span}",
            WalText.Of(new WalGapResult(Segment, "00000001000000020000000C", 3, At(after), At(before), "lost")));
    }
}
