using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>Repairs, reads back and judges the archives of clusters, one after the other.</summary>
/// <param name="cli">The session.</param>
/// <param name="site">The archive.</param>
/// <param name="repairSeal">How to compress and encrypt what is repaired; null to repair nothing.</param>
/// <param name="pgData">The data directory to repair from; null for the server's own.</param>
/// <param name="jobs">How many files to read at once.</param>
/// <param name="meter">Measures the plain bytes.</param>
internal sealed class WalCheck(CliSession cli, WalSite site, Seal? repairSeal, string? pgData, int jobs, TransferMeter meter)
{
    private readonly List<BackupException> _errors = [];
    private readonly List<WalVerifyResult> _results = [];

    /// <summary>What was found wrong, and what could not be repaired or looked at.</summary>
    public IReadOnlyList<BackupException> Errors => _errors;

    /// <summary>What was found, by cluster.</summary>
    public IReadOnlyList<WalVerifyResult> Results => _results;

    /// <summary>Checks the archive of one cluster.</summary>
    /// <param name="found">What is listed there.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>The cluster as it is after repairs.</returns>
    /// <exception cref="BackupException">It can't be read.</exception>
    public async Task<WalCluster> RunAsync(WalCluster found, CancellationToken cancel)
    {
        var repair = repairSeal is null ? null : OpenRepair(found, repairSeal);
        var repaired = new List<string>();
        if (repair is not null)
        {
            await FillAsync(repair, found, repaired, cancel);
        }

        var cluster = repaired.Count > 0 ? await site.LoadAsync(found.SystemIdentifier, cancel) : found;
        var read = await ReadAsync(cluster, repair, repaired, cancel);
        var problems = cluster.Problems
            .Concat(read.Damage.Select(d => WalText.Damage(d.Name, d.Error, cluster.Server, repair is not null)))
            .Concat(OrphanedBeginnings(cluster))
            .Concat(KeyProblems(cluster, read)).ToList();
        _errors.AddRange(problems);
        _results.Add(new WalVerifyResult(
            WalLayout.SystemFolder(cluster.SystemIdentifier),
            read.Files,
            read.Read,
            read.Stored,
            read.Unread,
            cluster.Findings.Select(static f => WalGapResult.Of(f.Finding)).ToList(),
            repaired,
            problems.Select(static p => p.Message).ToList()));
        return cluster;
    }

    // Null where there is no data directory to repair from.
    private WalRepair? OpenRepair(WalCluster cluster, Seal seal)
    {
        if ((pgData ?? cluster.Server?.DataDirectory) is not { } directory)
        {
            return null;
        }

        try
        {
            return new WalRepair(cluster.Wal, DataDirectory.Open(directory), seal, cli.Log);
        }
        catch (BackupException e)
        {
            // What is wrong with the archive is to be told all the same; and when nothing is, this is no matter.
            if (cluster.Problems.Any())
            {
                _errors.Add(e);
            }
            else
            {
                cli.Log.Warning("nothing can be repaired: {Message:l}", e.Message);
            }

            return null;
        }
    }

    private async Task FillAsync(WalRepair repair, WalCluster cluster, List<string> repaired, CancellationToken cancel)
    {
        try
        {
            foreach (var history in cluster.MissingHistories.Where(static h => h.State != WalGapState.Pending))
            {
                repaired.AddRange((await repair.FillHistoryAsync(history.Timeline, cancel)).Select(static n => n.Name));
            }

            foreach (var (finding, line) in cluster.Findings.Where(static f => f.Finding.State != WalGapState.Pending))
            {
                repaired.AddRange((await repair.FillAsync(finding.Gap, line, cancel)).Select(static s => s.Name));
            }
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            _errors.Add(e);
        }
    }

    private async Task<WalReadResult> ReadAsync(WalCluster cluster, WalRepair? repair, List<string> repaired, CancellationToken cancel)
    {
        var files = FilesOf(cluster);
        await using var progress = new ProgressReporter(cli, "verify", meter, () => (long)cluster.Wal.Index.SegmentBytes * files.Count);
        var verify = new WalVerify(
            cluster.Wal, site.Settings.Providers, site.Settings.HasAgeKey, meter, completesSums: repairSeal is not null);
        var read = await verify.ReadAsync(files, jobs, cancel);
        if (repair is null || read.Damage.Count == 0)
        {
            return read;
        }

        // What could be replaced is read again: only what was read back counts as repaired.
        var replaced = await ReplaceAsync(cluster, repair, read, cancel);
        var again = await verify.ReadAsync(files.Where(e => replaced.Contains(e.Name)).ToList(), jobs, cancel);
        repaired.AddRange(replaced.Except(again.Damage.Select(static d => d.Name)).Select(static n => n.Name));
        return read.After(again, replaced);
    }

    private async Task<List<WalFileName>> ReplaceAsync(WalCluster cluster, WalRepair repair, WalReadResult read, CancellationToken cancel)
    {
        var replacement = new WalReplacement(site.Store, cluster.SystemIdentifier, cli.Time);
        var replaced = new List<WalFileName>();
        foreach (var (name, _) in read.Damage)
        {
            if (await repair.TryReplaceAsync(name, replacement, cancel))
            {
                replaced.Add(name);
            }
        }

        return replaced;
    }

    // What recovery from the oldest set on needs, every history, and what stands there without a sum: recovery would stop at it.
    private static List<WalEntry> FilesOf(WalCluster cluster) => cluster.Timelines.SelectMany(static t => t.Chain.Entries)
        .Select(static e => e.Entry)
        .Concat(cluster.Wal.Index.Entries.Where(static e => e.Name.Kind == WalFileKind.TimelineHistory || !e.HasSum))
        .DistinctBy(static e => e.Name).ToList();

    private static IEnumerable<BackupException> OrphanedBeginnings(WalCluster cluster) => cluster.Wal.Index.BeginningsWithoutParent
        .Where(first => cluster.Sets.Any(s => s.Physical!.Timeline < first.Timeline && s.Physical.FirstSegment.Number < first.Number))
        .Select(static first => new BackupException(
            ErrorKind.Verification,
            $"timeline {first.Timeline} begins with {first} in the archive, and no older timeline has the segment before it; its history, which could "
            + "tell, can't be read",
            "verify with the key (BACKUP_DECRYPTION_IDENTITY_FILE), and --repair where the server still has the segments"));

    private IEnumerable<BackupException> KeyProblems(WalCluster cluster, WalReadResult read)
    {
        if (read.KeyProblem is not { } locked)
        {
            yield break;
        }

        cli.Log.Warning(
            "{Count} of {All} files are encrypted and were not decrypted: {Message:l}; {Hint:l}",
            read.Stored + read.Unread,
            read.Files,
            locked.Message,
            locked.Hint);
        if (read.HasKey)
        {
            yield return locked;
        }
        else if (read.Unread > 0)
        {
            yield return new BackupException(
                ErrorKind.Encryption,
                $"{read.Unread} of {Sizes.Count(read.Files, "file")} of cluster {cluster.SystemIdentifier} could not be checked: they are encrypted, and "
                + $"their {WalLayout.SumSuffix} files do not say how they are stored",
                locked.Hint);
        }
    }
}
