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
using SoundHash.Backup.Restores;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup restore: sets and bare files into databases.</summary>
internal sealed class RestoreCommand : VerbCommand
{
    private readonly RestoreSelection _select = new();
    private readonly RestoreTarget _target = new();
    private readonly Option<bool> _plan = new("--plan") { Description = "Show what would be done; change nothing" };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask before something is destroyed" };
    private readonly Option<int?> _jobs = new("--jobs", "-j") { Description = "Processes at once (default: BACKUP_JOBS, else the cores, at most 4)", HelpName = "N" };

    public RestoreCommand(CommonOptions common)
        : base("restore", "Restore a set or a dump file, and compare what arrived", common)
    {
        _select.AddTo(this);
        _target.AddTo(this);
        Options.Add(_plan);
        Options.Add(_yes);
        Options.Add(_jobs);
        Validators.Add(result =>
        {
            if (result.GetValue(_plan) && _select.IsFile(result))
            {
                result.AddError("--plan needs a set; of a bare file nothing is known before it is read");
            }
        });
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup restore --list",
        "shbackup restore --latest --plan",
        "shbackup restore --latest --target-db soundhash_check",
        "shbackup restore --latest --swap --yes",
        "shbackup restore --backup soundhash_backup_20261122_020000 --table public.videos --target-db rescue",
        "shbackup restore --file ./latest.dump --clean",
    ];

    public override IReadOnlyList<int> ExitCodes { get; } = [4, 5, 6, 7, 8, 9];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings(("BACKUP_JOBS", parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)));
        var server = DatabaseConfiguration.Read(settings);
        var repository = RepositoryConfiguration.Read(settings);
        var retention = _select.List(parse) ? RetentionConfiguration.Read(settings) : null;
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = new TransferMeter(cli.Time, settings.Bytes("BACKUP_RATE_LIMIT"));
        var tools = new PgToolFinder(cli.Launcher, settings.PathOf("PG_BIN_DIR"));
        settings.ThrowIfInvalid();

        var store = RepositoryAccess.Open(repository);
        var pace = new RestorePace(repository.StateDirectory);
        if (retention is not null)
        {
            return await RestoreListing.RunAsync(cli, store, server, retention, pace, cancel);
        }

        var run = new RestoreRun(
            server, cli.Launcher, tools, new EncryptionProviders(cli.Launcher, cli.Time, encryption).For, cli.Time, meter, cli.Log);
        if (_select.File(parse) is { } file)
        {
            var options = _target.Read(parse, _target.Name(parse) ?? server.Database, jobs);
            return await RunAllAsync(parse, cli, settings, meter, [new Job(file, options, null)], (job, confirm) => run.RunFileAsync(job.From, job.Options, confirm, cancel), cancel);
        }

        var chosen = _select.Choose(parse, await Catalogue.LoadAsync(store, cancel), server.Database);
        if (_target.Name(parse) is not null && chosen.Count > 1)
        {
            throw new BackupException(ErrorKind.Usage, "--target-db and --all-databases exclude each other", "restore one database at a time beside the old one");
        }

        var work = chosen.Select(m => new Job(m.Id, _target.Read(parse, _target.Name(parse) ?? m.Database, jobs), m)).ToList();
        return parse.GetValue(_plan)
            ? await PlanAsync(cli, run, store, work, pace, cancel)
            : await RunAllAsync(
                parse,
                cli,
                settings,
                meter,
                work,
                async (job, confirm) =>
                {
                    var result = await run.RunAsync(store, job.Set!, job.Options, confirm, cancel);
                    pace.Remember(job.Set!, job.Options, result.Phases);
                    return result;
                },
                cancel);
    }

    private static async Task<int> PlanAsync(
        CliSession cli, RestoreRun run, IObjectStore store, IReadOnlyList<Job> work, RestorePace pace, CancellationToken cancel)
    {
        var plans = new List<RestorePlan>();
        foreach (var job in work)
        {
            plans.Add(await run.PlanAsync(store, job.Set!, job.Options, pace, cancel));
        }

        cli.Print(new PlanDocument(plans), ResultJson.Default.PlanDocument, RestoreOutput.Print);
        return Errors.ExitCodes.Success;
    }

    private async Task<int> RunAllAsync(
        ParseResult parse, CliSession cli, SettingsReader settings, TransferMeter meter, IReadOnlyList<Job> work,
        Func<Job, Func<string, bool>, Task<RestoreResult>> restore, CancellationToken cancel)
    {
        var facts = new Dictionary<string, string>
        {
            ["FROM"] = string.Join(' ', work.Select(static j => j.From)),
            ["TARGETS"] = string.Join(' ', work.Select(static j => j.Options.Target)),
        };
        var items = new List<RestoreItem>();
        var code = await new HookScope(cli, settings, "RESTORE", facts).RunAsync(
            async () =>
            {
                await using (new ProgressReporter(cli, "restore", meter, () => work.Sum(static j => j.Set?.Objects.Sum(static o => o.PlainBytes) ?? 0)))
                {
                    foreach (var job in work)
                    {
                        items.Add(await TryAsync(cli, job, () => restore(job, question => Confirm(parse, cli, question)), cancel));
                    }
                }

                return Errors.ExitCodes.Worst(items.Select(static i =>
                    i.Error?.ExitCode ?? (i.Result!.Differences.Count > 0 ? Errors.ExitCodes.For(ErrorKind.Verification) : Errors.ExitCodes.Success)));
            },
            cancel);
        Report(cli, items, code);
        return code;
    }

    private static async Task<RestoreItem> TryAsync(CliSession cli, Job job, Func<Task<RestoreResult>> restore, CancellationToken cancel)
    {
        try
        {
            return new RestoreItem(job.From, job.Options.Target, await restore(), null);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested && e.Kind != ErrorKind.Cancelled)
        {
            cli.Log.Debug(e, "restore of {From} failed", job.From);
            cli.ReportLines(e);
            return new RestoreItem(job.From, job.Options.Target, null, ErrorResult.Of(e));
        }
    }

    private static void Report(CliSession cli, IReadOnlyList<RestoreItem> items, int code)
    {
        foreach (var item in items.Where(static i => i.Result is { Differences.Count: > 0 }))
        {
            cli.ReportLines(new BackupException(
                ErrorKind.Verification,
                $"{item.Result!.Differences.Count} tables differ from set {item.From}",
                item.Result.IntoExisting
                    ? $"the rows are committed in database \"{item.Result.Database}\": look at the tables named; do not drop it, it was there before"
                    : $"look at database \"{item.Result.Database}\"; then drop it, or rename it when it will do"));
        }

        cli.Print(new RestoreDocument(items, code), ResultJson.Default.RestoreDocument, RestoreOutput.Print);
    }

    private bool Confirm(ParseResult parse, CliSession cli, string question)
    {
        if (parse.GetValue(_yes))
        {
            return true;
        }

        return cli.Terminal.CanAsk
            ? cli.Terminal.Ask(question)
            : throw new BackupException(ErrorKind.Usage, $"{question} There is no terminal to ask on; nothing was changed", "add --yes when you mean it");
    }

    private sealed record Job(string From, RestoreOptions Options, Manifest? Set);
}
