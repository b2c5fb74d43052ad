using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Which timeline leads to a target when nobody has chosen one. The newest, unless the target comes before its branch: up to there
/// it has the log of its ancestor, and a server that is promoted at such a target must branch off that one. Branched off the newest,
/// its history would say that it left that timeline before that timeline began.
/// </summary>
internal sealed class RecoveryLine(RecoverableWal archived, WalScan scan)
{
    /// <summary>The oldest timeline of the newest line of descent whose own part of the log has the target.</summary>
    public async Task<uint> OldestWithAsync(PhysicalFacts set, RecoveryTarget target, CancellationToken cancel)
    {
        var newest = archived.Index.NewestFrom(set);
        var branches = archived.Index.LineTo(newest).History.Ancestors.Where(a => a.Timeline >= set.Timeline && a.End > set.Stop);
        foreach (var branch in target.Kind == RecoveryTargetKind.End ? [] : branches)
        {
            if (await HasAsync(archived.From(set, branch.Timeline).UpTo(branch.End), set, target, cancel))
            {
                return branch.Timeline;
            }
        }

        return newest;
    }

    private async Task<bool> HasAsync(WalSpan span, PhysicalFacts set, RecoveryTarget target, CancellationToken cancel) => target.Kind switch
    {
        RecoveryTargetKind.Immediate => true,
        _ when span.End < set.Stop => false,
        RecoveryTargetKind.Lsn => target.Lsn < span.End,
        RecoveryTargetKind.Time => await scan.LastTransactionAsync(span, int.MaxValue, cancel) is { } last && target.IsProvenBy(last.Time),
        RecoveryTargetKind.Xid => await scan.HasTransactionAsync(span, set.Stop, (uint)target.Xid, cancel),
        RecoveryTargetKind.Name => await scan.HasRestorePointAsync(span, set.Stop, target.Name, cancel),
        _ => false,
    };
}
