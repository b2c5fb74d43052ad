using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Restores.Physical;

/// <summary>What helps when the archived WAL ends before the target of a recovery.</summary>
public sealed class HintBeyondArchiveTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 14, 30, 0, TimeSpan.Zero);

    [Fact]
    public void A_time_in_the_future_is_told_as_such()
    {
        Assert.Contains("is in the future", At(Now.AddMinutes(1)).HintBeyondArchive(Now), StringComparison.Ordinal);
        Assert.Contains("2026-11-22 14:30:00", At(Now.AddMinutes(1)).HintBeyondArchive(Now), StringComparison.Ordinal);
    }

    [Fact]
    public void A_time_behind_the_last_commit_is_told_with_what_makes_it_reachable()
    {
        var hint = At(Now.AddMinutes(-1)).HintBeyondArchive(Now);

        Assert.StartsWith("leave the target out", hint, StringComparison.Ordinal);
        Assert.Contains("only another commit after that moment makes it reachable", hint, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_position_the_server_hands_over_what_is_missing() => Assert.Contains(
        "SELECT pg_switch_wal() on it brings it",
        new RecoveryTarget { Kind = RecoveryTargetKind.Lsn }.HintBeyondArchive(Now),
        StringComparison.Ordinal);

    private static RecoveryTarget At(DateTimeOffset time) => new() { Kind = RecoveryTargetKind.Time, Time = time };
}
