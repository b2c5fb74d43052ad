using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>Names of slots, waiting times and the status line.</summary>
public sealed class WalReceiveWordsTests
{
    [Theory]
    [InlineData(null, "shbackup_wal")]
    [InlineData("main", "shbackup_main")]
    [InlineData("Orders-EU.1", "shbackup_orders_eu_1")]
    public void A_slot_is_named_after_the_cluster_in_letters_that_PostgreSQL_takes(string? cluster, string expected) =>
        Assert.Equal(expected, Slot.DefaultName(cluster));

    [Fact]
    public void A_long_cluster_name_gives_a_slot_name_that_PostgreSQL_takes() =>
        Assert.Equal(63, Slot.Of(Slot.DefaultName(new string('x', 100))).Name.Length);

    [Theory]
    [InlineData("")]
    [InlineData("With-Dash")]
    [InlineData("x; DROP TABLE y")]
    [InlineData("x\n")]
    public void Other_slot_names_are_refused(string name) =>
        Assert.Equal(ErrorKind.Usage, Assert.Throws<BackupException>(() => Slot.Of(name)).Kind);

    [Fact]
    public void What_is_behind_is_told_in_bytes_and_in_the_time_since_the_server_was_there()
    {
        var time = new FakeTime();
        var progress = new WalReceiveProgress(time);
        Saw(1000);
        progress.Archived(new Lsn(1000));
        Assert.Equal((0, TimeSpan.Zero), (progress.BytesBehind, progress.Behind));

        time.Advance(TimeSpan.FromSeconds(5));
        Saw(3000);
        time.Advance(TimeSpan.FromSeconds(5));
        Saw(4000);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((3000, TimeSpan.FromSeconds(6)), (progress.BytesBehind, progress.Behind));

        progress.Pieced(new Lsn(3000));
        Assert.Equal((1000, TimeSpan.FromSeconds(1)), (progress.BytesBehind, progress.Behind));
        Assert.Contains("behind by 1000 bytes, 1 s; 0 reconnects", progress.ToString(), StringComparison.Ordinal);

        progress.Pieced(new Lsn(4000));
        progress.Lost();
        Assert.Equal((0, TimeSpan.Zero), (progress.BytesBehind, progress.Behind));
        Assert.Null(progress.Received);
        Assert.Contains("1 reconnects", progress.ToString(), StringComparison.Ordinal);

        void Saw(ulong at) => progress.Saw(new SlotState(true, true, new Lsn(at), "reserved", new Lsn(at), new Lsn(at)));
    }

    [Fact]
    public void The_time_before_the_next_try_grows_to_half_a_minute_and_is_never_the_same_for_all()
    {
        var random = Enumerable.Range(0, 100).Select(static _ => WalReceiveBackoff.After(3)).ToList();

        Assert.All(random, static t => Assert.InRange(t.TotalMilliseconds, 50, 4000));
        Assert.True(random.Distinct().Count() > 50);
        Assert.All(Enumerable.Range(0, 100), static n => Assert.InRange(WalReceiveBackoff.After(n).TotalSeconds, 0, 30));
    }
}
