using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
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
        : base("verify", "Look for gaps from the oldest base backup to now, and read back what recovery from it needs", common)
    {
        Options.Add(_repair);
        Options.Add(_pgData);
        Options.Add(_jobs);
    }

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup wal-archive verify", "shbackup wal-archive verify --repair --jobs 4", "shbackup wal-archive verify --json"];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification, ErrorKind.Locked];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings(new SettingFlag("BACKUP_JOBS", _jobs.Name, parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)));
        var repairs = parse.GetValue(_repair);
        var own = WalSiteSettings.Read(cli, settings, repairs);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        var writing = repairs ? EncryptionConfiguration.Read(settings) : null;
        var compression = repairs ? RunConfiguration.ReadPageCompression(settings) : null;
        settings.ThrowIfInvalid();

        using var held = repairs ? await own.LockAsync(cli, cancel) : null;
        var seal = writing is null ? null : await SealOfAsync(cli, writing, compression!, cancel);
        var site = await WalSite.OpenAsync(cli, own, askServer: true, cancel);
        if (site.ServerProblem is { } unasked)
        {
            cli.Log.Warning("the server can't be asked what it has not archived yet: {Problem:l}", unasked.Message);
        }

        var check = new WalCheck(cli, site, seal, parse.GetValue(_pgData), jobs, meter);
        var clusters = new List<WalCluster>();
        foreach (var found in await site.ClustersAsync(cancel))
        {
            clusters.Add(await check.RunAsync(found, cancel));
        }

        if (clusters.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, $"{site.Nothing()}, so that nothing was verified", "shbackup wal-archive status");
        }

        var errors = site.BrokenSets.Concat(check.Errors).Concat(site.Unrecoverable(clusters)).ToList();
        errors.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(errors);
        cli.Print(new WalVerifyDocument(check.Results, errors.ConvertAll(ErrorResult.Of), code), ResultJson.Default.WalVerifyDocument, Print);
        return code;
    }

    private static async Task<Seal> SealOfAsync(CliSession cli, EncryptionSettings encryption, Compression compression, CancellationToken cancel)
    {
        var (provider, recipients) = await cli.Providers(encryption).ForWritingAsync(cancel);
        return new Seal(compression, provider, recipients);
    }

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
