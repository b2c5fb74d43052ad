using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Restores.Physical;

/// <summary>
/// PostgreSQL shows transaction ids of 32 bits, which begin anew every four thousand million transactions: one that a person gives is
/// the one nearest to a set's end, before it or after it.
/// </summary>
public sealed class FullXidTests
{
    private const ulong Epoch = 1UL << 32;
    private const ulong Half = Epoch / 2;

    [Theory]
    [InlineData(900UL, 1000UL, 900UL)]
    [InlineData(1000UL, 1000UL, 1000UL)]
    [InlineData(1100UL, 1000UL, 1100UL)]
    public void Within_the_first_epoch_it_is_itself(ulong xid, ulong near, ulong full) => Assert.Equal(full, RecoveryChoice.FullXid(xid, near));

    [Theory]
    [InlineData(900UL, 1000UL)]
    [InlineData(1100UL, 1000UL)]
    [InlineData(0UL, Half)]
    public void In_a_later_epoch_it_is_that_of_the_same_epoch_when_it_is_near(ulong xid, ulong near) =>
        Assert.Equal((7 * Epoch) + xid, RecoveryChoice.FullXid(xid, (7 * Epoch) + near));

    [Fact]
    public void A_small_one_is_after_the_end_of_an_epoch_that_is_nearly_over()
    {
        Assert.Equal(Epoch + 5, RecoveryChoice.FullXid(5, Epoch - 10));
        Assert.Equal((4 * Epoch) + 5, RecoveryChoice.FullXid(5, (4 * Epoch) - 10));
    }

    [Fact]
    public void A_great_one_is_before_the_beginning_of_an_epoch_that_is_young() =>
        Assert.Equal((4 * Epoch) - 10, RecoveryChoice.FullXid(Epoch - 10, (4 * Epoch) + 5));

    [Fact]
    public void Before_the_first_epoch_there_is_none() => Assert.Equal(Epoch - 10, RecoveryChoice.FullXid(Epoch - 10, 5));

    [Fact]
    public void The_other_epoch_is_meant_from_more_than_half_of_one_away()
    {
        var near = (3 * Epoch) + Half + 100;
        Assert.Equal((3 * Epoch) + 100, RecoveryChoice.FullXid(100, near));
        Assert.Equal((4 * Epoch) + 99, RecoveryChoice.FullXid(99, near));
        near = (3 * Epoch) + 100;
        Assert.Equal((3 * Epoch) + Half + 100, RecoveryChoice.FullXid(Half + 100, near));
        Assert.Equal((2 * Epoch) + Half + 101, RecoveryChoice.FullXid(Half + 101, near));
    }

    [Fact]
    public void One_with_its_epoch_is_taken_as_it_is_however_far_away()
    {
        Assert.Equal(Epoch, RecoveryChoice.FullXid(Epoch, 9 * Epoch));
        Assert.Equal((9 * Epoch) + 5, RecoveryChoice.FullXid((9 * Epoch) + 5, 5));
    }
}
