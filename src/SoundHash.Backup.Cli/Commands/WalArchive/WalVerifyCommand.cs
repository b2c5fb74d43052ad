using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive verify: is all there that recovery needs, and is it what was archived?</summary>
internal sealed class WalVerifyCommand : VerbCommand
{
    private readonly Option<bool> _repair = new("--repair") { Description = "Fill gaps, and replace damaged files, with what the server still has in pg_wal" };
    private readonly Option<string?> _pgData = new("--pgdata")
    {
        Description = "The data directory to repair from (default: the server's, when it is on this machine)",
        HelpName = "DIR",
    };

    private readonly Option<int?> _jobs = WholeNumber.Jobs("Segments at once");

    public WalVerifyCommand(CommonOptions common)
        : base("verify", "Look for gaps from the oldest base backup to now, and read all of it back", common)
    {
        Options.Add(_repair);
        Options.Add(_pgData);
        Options.Add(_jobs);
    }

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup wal-archive verify", "shbackup wal-archive verify --repair --jobs 4", "shbackup wal-archive verify --json"];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings(new SettingFlag("BACKUP_JOBS", _jobs.Name, parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)));
        var own = WalSiteSettings.Read(cli, settings, parse.GetValue(_repair));
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        var repairs = parse.GetValue(_repair);
        var writing = repairs ? EncryptionConfiguration.Read(settings) : null;
        var compression = repairs ? RunConfiguration.ReadPageCompression(settings) : null;
        settings.ThrowIfInvalid();

        var site = await WalSite.OpenAsync(cli, own, askServer: true, cancel);
        if (site.ServerProblem is { } unasked)
        {
            cli.Log.Warning("the server can't be asked what it has not archived yet: {Problem:l}", unasked.Message);
        }

        var errors = site.BrokenSets.ToList();
        var results = new List<WalVerifyResult>();
        var clusters = new List<WalCluster>();
        foreach (var found in await site.ClustersAsync(cancel))
        {
            var repair = writing is null ? null : await RepairOfAsync(cli, found, parse.GetValue(_pgData), writing, compression!, errors, cancel);
            var repaired = repair is null ? [] : await FillAsync(repair, found, errors, cancel);
            var cluster = repaired.Count > 0 ? await site.LoadAsync(found.SystemIdentifier, cancel) : found;
            clusters.Add(cluster);
            results.Add(await VerifyAsync(cli, cluster, own, jobs, meter, site.Store, repairs, repair, repaired, errors, cancel));
        }

        if (results.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, $"{site.Nothing()}, so that nothing was verified", "shbackup wal-archive status");
        }

        errors.AddRange(site.Unrecoverable(clusters));
        errors.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(errors);
        cli.Print(new WalVerifyDocument(results, errors.ConvertAll(ErrorResult.Of), code), ResultJson.Default.WalVerifyDocument, Print);
        return code;
    }

    // Null where there is no data directory to repair from.
    private static async Task<WalRepair?> RepairOfAsync(
        CliSession cli,
        WalCluster cluster,
        string? pgData,
        EncryptionSettings encryption,
        Compression compression,
        List<BackupException> errors,
        CancellationToken cancel)
    {
        if ((pgData ?? cluster.Server?.DataDirectory) is not { } directory)
        {
            return null;
        }

        try
        {
            var (provider, recipients) = await cli.Providers(encryption).ForWritingAsync(cancel);
            return new WalRepair(cluster.Wal, DataDirectory.Open(directory), new Seal(compression, provider, recipients), cli.Log);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            // What is wrong with the archive is to be told all the same; and when nothing is, this is no matter.
            if (cluster.Problems.Any())
            {
                errors.Add(e);
            }
            else
            {
                cli.Log.Warning("nothing can be repaired: {Message:l}", e.Message);
            }

            return null;
        }
    }

    private static async Task<IReadOnlyList<string>> FillAsync(
        WalRepair repair, WalCluster cluster, List<BackupException> errors, CancellationToken cancel)
    {
        var filled = new List<string>();
        try
        {
            foreach (var history in cluster.MissingHistories.Where(static h => h.State != WalGapState.Pending))
            {
                filled.AddRange((await repair.FillHistoryAsync(history.Timeline, cancel)).Select(static n => n.Name));
            }

            foreach (var (finding, line) in cluster.Findings.Where(static f => f.Finding.State != WalGapState.Pending))
            {
                filled.AddRange((await repair.FillAsync(finding.Gap, line, cancel)).Select(static s => s.Name));
            }
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            errors.Add(e);
        }

        return filled;
    }

    // What could be replaced is read again: only what was read back counts as repaired.
    private static async Task<(WalReadResult Read, IReadOnlyList<string> Replaced)> ReplaceAsync(
        CliSession cli, WalCluster cluster, IObjectStore store, WalRepair repair, WalVerify verify, WalReadResult read, int jobs, CancellationToken cancel)
    {
        var replacement = new WalReplacement(store, cluster.SystemIdentifier, cli.Time);
        var replaced = new List<WalFileName>();
        foreach (var (name, _) in read.Damage)
        {
            if (await repair.TryReplaceAsync(name, replacement, cancel))
            {
                replaced.Add(name);
            }
        }

        var again = await verify.ReadAsync(cluster.Wal.Index.Entries.Where(e => replaced.Contains(e.Name)).ToList(), jobs, cancel);
        var bad = again.Damage.Select(static d => d.Name).ToHashSet();
        return (
            read with
            {
                Read = read.Read + again.Read,
                Stored = read.Stored + again.Stored,
                Unread = read.Unread + again.Unread,
                Damage = read.Damage.Where(d => !replaced.Contains(d.Name)).Concat(again.Damage).ToList(),
                KeyProblem = read.KeyProblem ?? again.KeyProblem,
            },
            replaced.Where(n => !bad.Contains(n)).Select(static n => n.Name).ToList());
    }

    private static async Task<WalVerifyResult> VerifyAsync(
        CliSession cli,
        WalCluster cluster,
        WalSiteSettings own,
        int jobs,
        TransferMeter meter,
        IObjectStore store,
        bool repairs,
        WalRepair? repair,
        IReadOnlyList<string> repaired,
        List<BackupException> errors,
        CancellationToken cancel)
    {
        var files = FilesOf(cluster);
        WalReadResult read;
        await using (new ProgressReporter(cli, "verify", meter, () => (long)cluster.Wal.Index.SegmentBytes * files.Count))
        {
            var verify = new WalVerify(cluster.Wal, own.Providers, own.HasAgeKey, meter, repairs);
            read = await verify.ReadAsync(files, jobs, cancel);
            if (repair is not null && read.Damage.Count > 0)
            {
                (read, var replaced) = await ReplaceAsync(cli, cluster, store, repair, verify, read, jobs, cancel);
                repaired = [.. repaired, .. replaced];
            }
        }

        var problems = cluster.Problems.Concat(read.Damage.Select(d => WalText.Damage(d.Name, d.Error, cluster.Server, repair is not null))).ToList();
        var unread = cluster.Wal.Index.BeginningsWithoutParent.Where(first => cluster.Sets.Any(s =>
            s.Physical!.Timeline < first.Timeline && s.Physical.FirstSegment.Number < first.Number));
        problems.AddRange(unread.Select(static first => new BackupException(
            ErrorKind.Verification,
            $"timeline {first.Timeline} begins with {first} in the archive, and no older timeline has the segment before it; its history, which could "
            + "tell, can't be read",
            "verify with the key (BACKUP_DECRYPTION_IDENTITY_FILE), and --repair where the server still has the segments")));
        if (read.KeyProblem is { } locked)
        {
            cli.Log.Warning(
                "{Count} of {All} files are encrypted and were not decrypted: {Message:l}; {Hint:l}",
                read.Stored + read.Unread,
                files.Count,
                locked.Message,
                locked.Hint);
            if (read.HasKey)
            {
                problems.Add(locked);
            }
            else if (read.Unread > 0)
            {
                problems.Add(new BackupException(
                    ErrorKind.Encryption,
                    $"{read.Unread} of {Sizes.Count(files.Count, "file")} of cluster {cluster.SystemIdentifier} could not be checked: they are encrypted, and "
                    + $"their {WalLayout.SumSuffix} files do not say how they are stored",
                    locked.Hint));
            }
        }

        errors.AddRange(problems);
        return new WalVerifyResult(
            WalLayout.SystemFolder(cluster.SystemIdentifier),
            files.Count,
            read.Read,
            read.Stored,
            read.Unread,
            cluster.Findings.Select(static f => WalGapResult.Of(f.Finding)).ToList(),
            repaired,
            problems.Select(static p => p.Message).ToList());
    }

    // What recovery from the oldest set on needs, every history, and what stands there without a sum: recovery would stop at it.
    private static List<WalEntry> FilesOf(WalCluster cluster) => cluster.Timelines.SelectMany(static t => t.Chain.Entries)
        .Select(static e => e.Entry)
        .Concat(cluster.Wal.Index.Entries.Where(static e => e.Name.Kind == WalFileKind.TimelineHistory || !e.HasSum))
        .DistinctBy(static e => e.Name).ToList();

    private static void Print(Terminal terminal, WalVerifyDocument document)
    {
        foreach (var cluster in document.Clusters)
        {
            foreach (var name in cluster.Repaired)
            {
                terminal.Line($"repaired {name}");
            }

            foreach (var gap in cluster.Gaps.Where(static g => g.State == WalGapState.Pending.Word()))
            {
                terminal.Line($"not archived yet: {WalText.Of(gap)}");
            }

            var stored = cluster.Stored > 0 ? $", {cluster.Stored} are as they were stored, which was checked without decrypting them" : string.Empty;
            var unread = cluster.Unread > 0 ? $", {cluster.Unread} are there and were not read" : string.Empty;
            terminal.Line(
                $"cluster {cluster.SystemIdentifier}: {cluster.Read} of {Sizes.Count(cluster.Files, "file")} are as they were archived{stored}{unread}; "
                + Sizes.Count(cluster.Problems.Count, "problem"));
        }
    }
}
