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

    private readonly StoreFrom _from = new();

    public WalVerifyCommand(CommonOptions common)
        : base("verify", "Look for gaps from the oldest base backup to now, and read back what recovery from it needs", common)
    {
        Options.Add(_repair);
        Options.Add(_pgData);
        Options.Add(_jobs);
        _from.AddTo(this);
    }

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup wal-archive verify", "shbackup wal-archive verify --repair --jobs 4", "shbackup wal-archive verify --json"];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification, ErrorKind.Locked];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings(new SettingFlag("BACKUP_JOBS", _jobs.Name, parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)));
        var repairs = parse.GetValue(_repair);
        var own = WalSiteSettings.Read(cli, settings, repairs, _from.Name(parse));
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

        var results = new List<WalVerifyResult>();
        var errors = site.BrokenSets.ToList();
        foreach (var one in site.Each())
        {
            var check = new WalCheck(cli, one, seal, parse.GetValue(_pgData), jobs, meter);
            var clusters = new List<WalCluster>();
            foreach (var found in await one.ClustersAsync(cancel))
            {
                clusters.Add(await check.RunAsync(found, cancel));
            }

            if (clusters.Count == 0 && own.Wal.Stores.Count > 1)
            {
                errors.Add(new BackupException(ErrorKind.Verification, $"store {one.Store.Name} has no WAL at all", "shbackup wal-archive status"));
            }

            results.AddRange(check.Results.Select(r => r with { Store = own.Wal.Stores.Count > 1 ? one.Store.Name : null }));
            errors.AddRange(check.Errors.Concat(one.Unrecoverable(clusters)));
        }

        if (results.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, $"{site.Nothing()}, so that nothing was verified", "shbackup wal-archive status");
        }

        errors.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(errors);
        cli.Print(new WalVerifyDocument(results, errors.ConvertAll(ErrorResult.Of), code), ResultJson.Default.WalVerifyDocument, Print);
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
                $"cluster {cluster.SystemIdentifier}{(cluster.Store is { } store ? $" in store {store}" : string.Empty)}: {cluster.Read} of {Sizes.Count(cluster.Files, "file")} are as they were archived{stored}{unread}; "
                + Sizes.Count(cluster.Problems.Count, "problem"));
        }
    }
}
