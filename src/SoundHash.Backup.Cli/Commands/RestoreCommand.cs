using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup restore: sets and bare files into databases, physical sets into data directories.</summary>
internal sealed class RestoreCommand : VerbCommand
{
    private readonly RestoreSelection _select = new();
    private readonly RestoreTarget _target = new();
    private readonly PhysicalTarget _physical = new();
    private readonly StoreFrom _from = new();
    private readonly Option<bool> _plan = new("--plan") { Description = "Show what would be done; change nothing. The exit code of a refusal is that of the restore" };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Replace what is there without asking: an existing database, or with --delta a data directory" };
    private readonly Option<int?> _jobs = WholeNumber.Jobs("Processes at once");

    public RestoreCommand(CommonOptions common)
        : base("restore", "Restore a set or a dump file, and compare what arrived", common)
    {
        _select.AddTo(this, isSelected: _physical.IsGiven);
        _target.AddTo(this);
        _physical.AddTo(this);
        _from.AddTo(this);
        Options.Add(_plan);
        Options.Add(_yes);
        Options.Add(_jobs);
        Validators.Add(result =>
        {
            if (_target.NeedsSet(result) && _select.IsFile(result))
            {
                result.AddError("--globals needs a set: a bare file has no roles and tablespaces");
            }

            if (_from.IsGiven(result) && _select.IsFile(result))
            {
                result.AddError($"{_from.OptionName} chooses among stores, and --file is in none");
            }

            if (_target.IsNamed(result) && _select.IsAll(result))
            {
                result.AddError("--target-db and --all-databases exclude each other; restore one database at a time beside the old one");
            }

            if (_physical.IsGiven(result) && (_select.GivenOfDatabases(result) ?? _target.Given(result)) is { } other)
            {
                result.AddError($"--target-dir restores a physical set, and {other} is for databases");
            }
        });
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup restore --list",
        "shbackup restore --latest --plan",
        "shbackup restore --latest --target-db soundhash_check",
        "shbackup restore --latest --swap --yes",
        "shbackup restore --latest --from s3 --target-db soundhash_check",
        "shbackup restore --backup soundhash_backup_20261122_020000 --table public.videos --target-db rescue",
        "shbackup restore --file ./latest.dump --target-db rescue --plan",
        "shbackup restore --file ./latest.dump --target-db rescue",
        "shbackup restore --target-dir /var/lib/postgresql/15/restored --to-time 2026-11-22T14:29:59Z --plan",
        "shbackup restore --target-dir /var/lib/postgresql/15/restored --to-time 2026-11-22T14:29:59Z --start",
        "shbackup restore --target-dir /var/lib/postgresql/15/restored --latest --tablespace fast=/mnt/fast-restored",
        "shbackup restore --target-dir /var/lib/postgresql/15/main --delta --to-xid 4711 --exclusive",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
    [
        ErrorKind.ToolMissing, ErrorKind.ChildFailed, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification, ErrorKind.Locked,
    ];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        if (_select.List(parse))
        {
            return await ListAsync(cli, _from.Choice(parse), cancel);
        }

        var settings = cli.Settings(
            new SettingFlag("BACKUP_JOBS", _jobs.Name, parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)));
        if (_physical.IsGiven(parse))
        {
            var job = new PhysicalRestoreJob(
                cli, parse, _physical, _select.Id(parse), _from.Choice(parse), parse.GetValue(_plan), question => Confirm(parse, cli, question));
            return await job.RunAsync(settings, cancel);
        }

        var server = DatabaseConfiguration.Read(settings);
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var repository = _select.File(parse) is null ? RepositoryConfiguration.Read(settings, _from.Choice(parse)) : null;
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        var tools = cli.Tools(settings);
        var hooks = new HookScope(cli, settings, "restore");
        settings.ThrowIfInvalid();

        var run = new RestoreRun(server, cli.Launcher, tools, cli.Providers(encryption).For, cli.Time, meter, cli.Log);
        RestoreOptions Options(string database) => _target.Read(parse, _target.Name(parse) ?? database, jobs);
        IReadOnlyList<RestoreJob> work;
        if (repository is null && parse.GetValue(_plan))
        {
            return PrintPlan(cli, await run.PlanFileAsync(_select.File(parse)!, Options(server.Database), cancel));
        }

        if (repository is null)
        {
            work = [RestoreJob.OfFile(run, _select.File(parse)!, Options(server.Database))];
        }
        else
        {
            var copies = await RepositoryAccess.LoadForRestoreAsync(cli, repository, cancel);
            var store = copies.Reader;
            var pace = new RestorePace(repository.StateDirectory);
            void Warn(string words) => cli.Log.Warning("{Words:l}", words);
            var sets = _select.Choose(parse, copies.Catalogue, server.Database, repository, Warn);
            if (parse.GetValue(_plan))
            {
                return await PlanAsync(cli, sets, set => run.PlanAsync(store, set, Options(set.Database), pace, cancel));
            }

            var reading = new SetReading(store, repository.StateDirectory, reason => cli.Log.Warning("{Reason:l}", reason), cli.Time);
            work = InOrder(sets, Options(server.Database)).Select(set => RestoreJob.OfSet(run, reading, set, Options(set.Database), pace)).ToList();
        }

        return await new RestoreJobs(cli, hooks, run, meter, question => Confirm(parse, cli, question)).RunAsync(work, cancel);
    }

    // Roles that exist are left as they are: those of the newest set come first.
    private static IEnumerable<Manifest> InOrder(IReadOnlyList<Manifest> sets, RestoreOptions options) =>
        options.Globals ? sets.OrderByDescending(static s => s.Started) : sets;

    // For somebody who has to decide quickly: the server need not be there, and what is wrong with its settings stops nothing.
    private static async Task<int> ListAsync(CliSession cli, StoreChoice choice, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings, choice);
        var retention = RetentionConfiguration.Read(settings, repository.Stores);
        settings.ThrowIfInvalid();

        var copies = await RepositoryAccess.LoadAsync(cli, repository, cancel);
        var pace = new RestorePace(repository.StateDirectory);
        var list = SetListing.Of(copies, retention);
        var sets = list.Sets.Select(set =>
        {
            var (seconds, from) = pace.Expect(copies.Catalogue.Find(set.Id));
            return new RestorableSet(set, copies.CopiesOf(set.Id).Where(static c => c.Belongs).Select(static c => c.Store.Name).ToList(), seconds, from);
        }).ToList();
        var document = new RestoreListDocument(sets, list.Broken, list.Unfinished, await FreeBytesAsync(cli, settings, cancel));
        cli.Print(
            document,
            ResultJson.Default.RestoreListDocument,
            (terminal, d) => RestoreListing.Print(terminal, d, repository, cli.Time.GetUtcNow()));
        return SetListing.ReportBroken(cli, list, copies);
    }

    private static async Task<long?> FreeBytesAsync(CliSession cli, SettingsReader settings, CancellationToken cancel)
    {
        try
        {
            var server = DatabaseConfiguration.Read(settings);
            settings.ThrowIfInvalid();
            await using var session = await Session.OpenAnyAsync(server with { Database = "postgres" }, cancel);
            return await TargetSpace.FreeBytesAsync(session, cancel);
        }
        catch (BackupException e)
        {
            cli.Log.Warning("the free space at the target is unknown: {Reason:l}", e.Message);
            return null;
        }
    }

    private static async Task<int> PlanAsync(CliSession cli, IReadOnlyList<Manifest> sets, Func<Manifest, Task<RestorePlan>> plan)
    {
        var plans = new List<RestorePlan>();
        foreach (var set in sets)
        {
            plans.Add(await plan(set));
        }

        var refusals = plans.SelectMany(static p => p.Refusals).ToList();
        refusals.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(refusals);
        cli.Print(new PlanDocument(plans, code), ResultJson.Default.PlanDocument, RestoreOutput.Print);
        return code;
    }

    private static int PrintPlan(CliSession cli, FilePlan plan)
    {
        plan.Refusals.ToList().ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(plan.Refusals);
        cli.Print(new FilePlanDocument(plan, code), ResultJson.Default.FilePlanDocument, RestoreOutput.Print);
        return code;
    }

    private bool Confirm(ParseResult parse, CliSession cli, string question)
    {
        if (parse.GetValue(_yes))
        {
            return true;
        }

        return cli.Terminal.CanAsk
            ? cli.Terminal.Ask(question)
            : throw new BackupException(
                ErrorKind.Usage, $"{question} There is no terminal to ask on; nothing was changed", "add --yes when you mean it");
    }
}
