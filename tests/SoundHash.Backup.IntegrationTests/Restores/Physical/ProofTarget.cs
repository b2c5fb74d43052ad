using System.Globalization;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>Where a restore is to end, and the marks that are to be there.</summary>
/// <param name="Arguments">The options that say so.</param>
/// <param name="Marks">Their numbers, in order.</param>
/// <param name="IsEnd">It ends with the archive, and takes writes at once.</param>
internal sealed record ProofTarget(IReadOnlyList<string> Arguments, IReadOnlyList<int> Marks, bool IsEnd)
{
    /// <inheritdoc/>
    public override string ToString() => string.Join(' ', Arguments.Select(static a => a.Contains(' ', StringComparison.Ordinal) ? $"'{a}'" : a));
}

/// <summary>Draws targets of every type on every timeline of a history.</summary>
internal sealed class ProofTargets(ForkedHistory history, RandomRun run)
{
    private static readonly string[] Kinds =
        ["time", "time exclusive", "time between", "lsn", "lsn exclusive", "lsn between", "xid", "xid exclusive", "name", "immediate", "latest"];

    private static readonly uint[] Timelines = [1, 2, ForkedCluster.LastTimeline];

    /// <summary>Targets without end.</summary>
    public IEnumerable<ProofTarget> Draw() => run.Deal(Kinds).Zip(run.Deal(Timelines), Draw);

    private ProofTarget Draw(string kind, uint timeline) => kind switch
    {
        "latest" => Latest(timeline),
        "immediate" => Immediate(timeline),
        "name" => Named(timeline),
        _ => AtMark(kind, timeline),
    };

    private ProofTarget Latest(uint timeline)
    {
        var set = Set(timeline, static _ => true);
        return Of(timeline, set, set is null ? ["--latest"] : [], static _ => true) with { IsEnd = true };
    }

    private ProofTarget Immediate(uint timeline)
    {
        var sets = history.SetsOf(timeline);
        var chosen = run.OneIn(3) ? null : run.Of(sets);
        return Of(timeline, chosen, ["--to-immediate"], m => m.Commit < (chosen ?? sets[^1]).Stop);
    }

    private ProofTarget Named(uint timeline)
    {
        var point = run.Of(history.PointsOf(timeline).Where(p => p.Lsn > history.Sets[0].Stop).ToList());
        return Of(timeline, Set(timeline, s => s.Stop < point.Lsn), ["--to-name", point.Name], m => m.Commit < point.Lsn);
    }

    private ProofTarget AtMark(string kind, uint timeline)
    {
        // The last one stays out for a time target: a transaction after it has to prove that the log goes further. Of the first one
        // behind the set that everything needs, the transaction may have begun before that ended.
        var all = history.MarksOf(timeline).Where(m => m.Commit > history.Sets[0].Stop).ToList();
        var mark = run.Of(all.Take(1..^1).Where(m => m.IsAlone || kind is not ("time" or "time exclusive")).ToList());
        string[] target = kind switch
        {
            "time" => ["--to-time", Text(mark.Time)],
            "time exclusive" => ["--to-time", Text(mark.Time), "--exclusive"],
            "time between" => ["--to-time", Text(mark.Later), .. run.OneIn(2) ? new[] { "--exclusive" } : []],
            "lsn" => ["--to-lsn", mark.Commit.ToString()],
            "lsn exclusive" => ["--to-lsn", mark.Commit.ToString(), "--exclusive"],
            "lsn between" => ["--to-lsn", mark.After.ToString(), "--exclusive"],
            "xid" => ["--to-xid", mark.Xid],
            _ => ["--to-xid", mark.Xid, "--exclusive"],
        };
        var isWith = kind is not ("time exclusive" or "lsn exclusive" or "xid exclusive");
        var set = Set(timeline, s => kind.StartsWith("time", StringComparison.Ordinal) ? s.Stopped < mark.Time : s.Stop < mark.Commit);
        return Of(timeline, set, target, m => m.Commit < mark.Commit || (isWith && m == mark));
    }

    // One that leads there and is named, or the one that shbackup chooses.
    private HistorySet? Set(uint timeline, Func<HistorySet, bool> isBefore) =>
        run.OneIn(2) ? null : run.Of(history.SetsOf(timeline).Where(isBefore).ToList());

    private ProofTarget Of(uint timeline, HistorySet? set, IReadOnlyList<string> target, Func<Mark, bool> isThere)
    {
        // The newest timeline needs no saying where a set is named from which it descends.
        var isDefault = timeline == ForkedCluster.LastTimeline && set is not null && run.OneIn(2);
        string[] line = isDefault ? [] : ["--timeline", timeline.ToString(CultureInfo.InvariantCulture)];
        string[] from = set is null ? [] : ["--backup", set.Id];
        var marks = history.MarksOf(timeline).Where(isThere).Select(static m => m.Number).Order().ToList();
        return new ProofTarget([.. target, .. line, .. from], marks, IsEnd: false);
    }

    private static string Text(DateTime time) => time.ToString("yyyy-MM-dd HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
}
