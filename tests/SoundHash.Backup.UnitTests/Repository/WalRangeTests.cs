using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.UnitTests.Repository;

public sealed class WalRangeTests
{
    [Fact]
    public void What_is_left_without_others_is_what_none_of_them_holds()
    {
        WalRange[] others = [new(1, 8, 9), new(1, 0, 3), new(1, 5, 6), new(1, 6, 6), new(2, 4, 4)];
        Assert.Equal([new WalRange(1, 4, 4), new WalRange(1, 7, 7), new WalRange(1, 10, 12)], new WalRange(1, 2, 12).Without(others));
        Assert.Empty(new WalRange(1, 2, 9).Without([new WalRange(1, 0, ulong.MaxValue)]));
        Assert.Equal([new WalRange(1, 2, 9)], new WalRange(1, 2, 9).Without([]));
    }
}
