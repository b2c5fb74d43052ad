using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A row that a transaction of its own added under load, and what tells that transaction.</summary>
/// <param name="Number">The row.</param>
/// <param name="Timeline">Where it was written.</param>
/// <param name="Xid">The transaction.</param>
/// <param name="Time">Its commit time.</param>
/// <param name="Later">The server's clock after it, before the next row's transaction ends.</param>
/// <param name="Commit">Where its commit record begins.</param>
/// <param name="After">The end of the WAL after that.</param>
/// <param name="IsAlone">No other writer's transaction ended at the same time, so that none with a later time stands before it in the WAL.</param>
public sealed record Mark(int Number, uint Timeline, string Xid, DateTime Time, DateTime Later, Lsn Commit, Lsn After, bool IsAlone);

/// <summary>A named restore point. After a fork, names are given again on the new timeline.</summary>
public sealed record RestorePoint(string Name, uint Timeline, Lsn Lsn);

/// <summary>A physical set.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Timeline">Where it was made.</param>
/// <param name="Stop">Where it is consistent.</param>
/// <param name="Stopped">When it ended.</param>
public sealed record HistorySet(string Id, uint Timeline, Lsn Stop, DateTime Stopped);

/// <summary>What happened to a cluster on timelines each of which left the one before it at a mark.</summary>
public sealed class ForkedHistory
{
    private readonly Dictionary<uint, Lsn> _forks = [];

    public IList<Mark> Marks { get; } = [];

    public IList<RestorePoint> Points { get; } = [];

    public IList<HistorySet> Sets { get; } = [];

    /// <summary>Lets the next timeline begin behind a mark's commit.</summary>
    public void Fork(Mark at) => _forks.Add(at.Timeline, at.Commit);

    /// <summary>The marks that whoever follows a timeline to its end finds, in the order of their commits.</summary>
    public IReadOnlyList<Mark> MarksOf(uint timeline) =>
        Marks.Where(m => IsOn(timeline, m.Timeline, m.Commit)).OrderBy(static m => m.Commit).ToList();

    public IReadOnlyList<RestorePoint> PointsOf(uint timeline) => Points.Where(p => IsOn(timeline, p.Timeline, p.Lsn)).ToList();

    /// <summary>The sets from which a timeline can be followed, the newest last.</summary>
    public IReadOnlyList<HistorySet> SetsOf(uint timeline) => Sets.Where(s => IsOn(timeline, s.Timeline, s.Stop)).ToList();

    // The next timeline begins a few bytes behind the commit record: nothing of ours is between.
    private bool IsOn(uint timeline, uint own, Lsn at) =>
        own == timeline || (own < timeline && Enumerable.Range((int)own, (int)(timeline - own)).All(t => at <= _forks[(uint)t]));
}
