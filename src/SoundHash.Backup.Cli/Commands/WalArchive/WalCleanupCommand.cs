using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive cleanup: removes WAL that no recovery needs any more.</summary>
internal sealed class WalCleanupCommand : VerbCommand
{
    private readonly Option<int?> _days = WholeNumber.Option(
        "--retention-days", "N", "Recovery must be possible to every moment of the last N days (default: the days of tier standard)");

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be removed; remove nothing" };

    public WalCleanupCommand(CommonOptions common)
        : base(
            "cleanup",
            "Remove WAL that neither a set needs nor recovery to a moment of the window; the set that it begins with is read back first",
            common)
    {
        Options.Add(_days);
        Options.Add(_dryRun);
        Validators.Add(result =>
        {
            if (result.Peek(_days) is < 1 or > 36500)
            {
                result.AddError("--retention-days takes a number from 1 to 36500");
            }
        });
    }

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup wal-archive cleanup --dry-run", "shbackup wal-archive cleanup --retention-days 14"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification, ErrorKind.Locked];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var own = WalSiteSettings.Read(cli, settings, writes: true);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        // As long as base backups stay in any case (RetentionPolicy), recovery is to be possible.
        var days = own.Wal.Stores.ToDictionary(static s => s.Name, s => parse.GetValue(_days) ?? RetentionConfiguration.ReadStandard(settings, s));
        settings.ThrowIfInvalid();

        // Before the lock, which makes a folder in BACKUP_DIR. Without the sets nobody knows which WAL they need.
        foreach (var (setting, directory) in own.Repository.Directories.Concat(own.Wal.Directories))
        {
            RepositoryAccess.EnsureThere(directory, setting);
        }

        using var held = await own.LockAsync(cli, cancel);
        var sets = RepositoryAccess.Open(cli, own.Repository);
        var dryRun = parse.GetValue(_dryRun);
        var items = new List<WalCleanupItem>();
        var problems = new List<BackupException>();
        await using (new ProgressReporter(cli, "verify", meter, static () => 0))
        {
            foreach (var store in RepositoryAccess.OpenWal(cli, own.Wal))
            {
                var cleanup = new WalCleanup(sets, store, cli.Launcher, meter, own.Providers, jobs, cli.Time, cli.Log);
                try
                {
                    var results = await cleanup.RunAsync(days[store.Name], held, dryRun, cancel);
                    problems.AddRange(results.Select(static r => r.Problem).OfType<BackupException>());
                    items.AddRange(results.Select(r => ItemOf(r, days[store.Name]) with { Store = own.Wal.Stores.Count > 1 ? store.Name : null }));
                }
                catch (BackupException e) when (own.Wal.Stores.Count > 1 && !cancel.IsCancellationRequested)
                {
                    // What is wrong in one store is no reason to keep everything in the others.
                    problems.Add(e);
                }
            }
        }

        problems.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(problems);
        var document = new WalCleanupDocument(items, dryRun, problems.ConvertAll(ErrorResult.Of), code);
        cli.Print(document, ResultJson.Default.WalCleanupDocument, Print);
        return code;
    }

    private static WalCleanupItem ItemOf(WalCleanupResult result, int days)
    {
        var removed = result.Decisions.Where(static d => d.Removes)
            .Select(static d => new WalRemovalItem(d.Entry.Name.Name, d.Entry.StoredBytes, d.Entry.Stored, d.Reason)).ToList();
        var kept = result.Decisions.Where(static d => !d.Removes).GroupBy(static d => d.Reason)
            .Select(static g => new WalKeptItem(g.Key, g.Count())).ToList();
        return new WalCleanupItem(
            WalLayout.SystemFolder(result.SystemIdentifier),
            days,
            removed,
            removed.Sum(static r => r.StoredBytes),
            kept.Sum(static k => k.Files),
            kept);
    }

    private static void Print(Terminal terminal, WalCleanupDocument document)
    {
        var what = document.DryRun ? "would remove" : "removed";
        foreach (var cluster in document.Clusters)
        {
            foreach (var item in cluster.Removed)
            {
                terminal.Line($"{what}  {item.Name}  {item.Reason}");
            }

            foreach (var kept in cluster.KeptFor)
            {
                terminal.Line($"keeps  {Sizes.Count(kept.Files, "file")}: {kept.Reason}");
            }

            terminal.Line(
                $"cluster {cluster.SystemIdentifier}{(cluster.Store is { } store ? $" in store {store}" : string.Empty)}: {what} {Sizes.Count(cluster.Removed.Count, "file")} "
                + $"({Sizes.Bytes(cluster.RemovedBytes)}), keeps {Sizes.Count(cluster.Kept, "file")}");
        }
    }
}
