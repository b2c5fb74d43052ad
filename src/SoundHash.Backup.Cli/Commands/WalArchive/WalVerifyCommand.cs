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
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive verify: is all there that recovery needs, and is it what was archived?</summary>
internal sealed class WalVerifyCommand : VerbCommand
{
    private readonly Option<bool> _repair = new("--repair") { Description = "Fill gaps with what the server still has in pg_wal" };
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
        var repair = parse.GetValue(_repair);
        var writing = repair ? EncryptionConfiguration.Read(settings) : null;
        var compression = repair ? RunConfiguration.ReadPageCompression(settings) : null;
        settings.ThrowIfInvalid();

        var site = await WalSite.OpenAsync(cli, own, askServer: true, cancel);
        if (site.ServerProblem is { } unasked)
        {
            cli.Log.Warning("the server can't be asked what it has not archived yet: {Problem:l}", unasked);
        }

        var errors = site.BrokenSets.ToList();
        var results = new List<WalVerifyResult>();
        foreach (var found in await site.ClustersAsync(cancel))
        {
            var repaired = writing is null
                ? []
                : await RepairAsync(cli, found, parse.GetValue(_pgData), writing, compression!, errors, cancel);
            var cluster = repaired.Count > 0 ? await site.LoadAsync(found.SystemIdentifier, cancel) : found;
            results.Add(await VerifyAsync(cli, cluster, own, jobs, meter, repaired, errors, cancel));
        }

        if (results.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, $"{site.Nothing()}, so that nothing was verified", "shbackup wal-archive status");
        }

        errors.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(errors);
        cli.Print(new WalVerifyDocument(results, code), ResultJson.Default.WalVerifyDocument, Print);
        return code;
    }

    private static async Task<IReadOnlyList<string>> RepairAsync(
        CliSession cli,
        WalCluster cluster,
        string? pgData,
        EncryptionSettings encryption,
        Compression compression,
        List<BackupException> errors,
        CancellationToken cancel)
    {
        var gaps = cluster.Findings.Where(static f => f.Finding.State != WalGapState.Pending).ToList();
        var directory = pgData ?? cluster.Server?.DataDirectory;
        if (gaps.Count == 0 || directory is null)
        {
            return [];
        }

        try
        {
            var (provider, recipients) = await cli.Providers(encryption).ForWritingAsync(cancel);
            var repair = new WalRepair(
                cluster.Wal, DataDirectory.Open(directory), new Seal(compression, provider, recipients), cli.Log);
            var filled = new List<string>();
            foreach (var (finding, line) in gaps)
            {
                filled.AddRange((await repair.FillAsync(finding.Gap, line, cancel)).Select(static s => s.Name));
            }

            return filled;
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            // What is wrong with the archive is to be told all the same.
            errors.Add(e);
            return [];
        }
    }

    private static async Task<WalVerifyResult> VerifyAsync(
        CliSession cli,
        WalCluster cluster,
        WalSiteSettings own,
        int jobs,
        TransferMeter meter,
        IReadOnlyList<string> repaired,
        List<BackupException> errors,
        CancellationToken cancel)
    {
        var files = FilesOf(cluster);
        WalReadResult read;
        await using (new ProgressReporter(cli, "verify", meter, () => (long)cluster.Wal.Index.SegmentBytes * files.Count))
        {
            read = await new WalVerify(cluster.Wal, own.Providers, own.HasAgeKey, meter).ReadAsync(files, jobs, cancel);
        }

        if (cluster.Sets.Count == 0)
        {
            cli.Log.Warning("there is no physical backup of {System}: what is archived was looked at, but nothing can be recovered with it", cluster.SystemIdentifier);
        }

        var problems = cluster.Findings.Select(f => WalText.Problem(cluster.SystemIdentifier, f.Finding)).OfType<BackupException>()
            .Concat(read.Damage.Select(static d => d.Error)).ToList();
        if (read.KeyProblem is { } locked)
        {
            cli.Log.Warning(
                "{Count} of {All} files are encrypted and were not decrypted, so that only their presence was checked: {Message:l}; {Hint:l}",
                read.Locked,
                files.Count,
                locked.Message,
                locked.Hint);
            if (own.HasAgeKey)
            {
                problems.Add(locked);
            }
        }

        errors.AddRange(problems);
        return new WalVerifyResult(
            WalLayout.SystemFolder(cluster.SystemIdentifier),
            files.Count,
            read.Read,
            read.Locked,
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

            var unread = cluster.Unread > 0 ? $", {cluster.Unread} are there and were not decrypted" : string.Empty;
            terminal.Line(
                $"cluster {cluster.SystemIdentifier}: {cluster.Read} of {Sizes.Count(cluster.Files, "file")} are as they were archived{unread}; "
                + Sizes.Count(cluster.Problems.Count, "problem"));
        }
    }
}
