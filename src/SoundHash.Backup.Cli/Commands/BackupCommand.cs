using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using SoundHash.Backup.Backups;
using SoundHash.Backup.Backups.Physical;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup: databases, or a whole cluster, into sets.</summary>
internal sealed class BackupCommand : VerbCommand
{
    private const int DefaultArchiveTimeout = 300;

    private readonly BackupSelection _select = new();

    private readonly Option<string?> _kind = new("--kind")
    {
        Description = "logical: databases, by pg_dump (default); physical: the whole cluster, for recovery to any moment",
        HelpName = "KIND",
    };

    private readonly Option<string?> _name = new("--name")
    {
        Description = "Name of the sets; weekly… and monthly… choose the tier (default: DATABASE_backup, or CLUSTER_physical)",
        HelpName = "NAME",
    };

    private readonly Option<string?> _tier = new("--tier")
    {
        Description = "How long to keep the sets: standard, extended or archive",
        HelpName = "TIER",
    };

    private readonly Option<int?> _jobs = WholeNumber.Jobs("Streams at once");

    private readonly Option<bool> _fingerprint = new("--fingerprint")
    {
        Description = "Also hash the rows of every table, to compare after a restore",
    };

    private readonly Option<bool> _noEncrypt = new("--no-encrypt")
    {
        Description = "Do not encrypt, whatever BACKUP_ENCRYPTION_ENABLED says",
    };

    private readonly Option<int?> _lockWait =
        WholeNumber.Option("--lock-wait", "SECONDS", "How long to wait for another run of the same database (default: 0)");

    private readonly Option<int?> _archiveTimeout = WholeNumber.Option(
        "--archive-timeout", "SECONDS", "With --kind physical: how long to wait until its WAL is archived (default: 300)");

    private readonly Option<bool> _newSystem = new("--new-system")
    {
        Description = "Accept a cluster that this repository does not know (after pg_upgrade or initdb)",
    };

    private readonly Option<string[]> _to = new("--to")
    {
        Description = "Back up to this store in place of those that are enabled: local, s3, gcs, or the name of a further one; may be repeated",
        HelpName = "STORE",
    };

    private readonly Option<bool> _gcs = new("--gcs") { Description = "Back up to Google Cloud Storage too, whatever BACKUP_GCS_ENABLED says" };

    private readonly Option<bool> _s3 = new("--s3") { Description = "Back up to S3 too, whatever BACKUP_S3_ENABLED says" };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be backed up and where to; write nothing" };

    public BackupCommand(CommonOptions common)
        : base("backup", "Back up databases, and look after the sets", common)
    {
        _name.Validators.Add(CheckName);
        _tier.AcceptOnlyFromAmong("standard", "extended", "archive");
        _select.AddTo(this);
        _kind.AcceptOnlyFromAmong("logical", "physical");
        foreach (var option in new Option[]
        {
            _kind, _name, _tier, _jobs, _fingerprint, _noEncrypt, _lockWait, _to, _s3, _gcs, _archiveTimeout, _newSystem, _dryRun,
        })
        {
            Options.Add(option);
        }

        Validators.Add(result =>
        {
            var physical = result.Peek(_kind) == "physical";
            if (physical && (_select.IsGiven(result) || result.Peek(_fingerprint)))
            {
                result.AddError("--kind physical takes the whole cluster: --database, --all-databases, --exclude-database and --fingerprint are for logical backups");
            }

            if (!physical && result.Peek(_archiveTimeout) is not null)
            {
                result.AddError("--archive-timeout needs --kind physical");
            }
        });

        Subcommands.Add(new BackupListCommand(common));
        Subcommands.Add(new BackupShowCommand(common));
        Subcommands.Add(new BackupVerifyCommand(common));
        Subcommands.Add(new BackupExpireCommand(common));
        Subcommands.Add(new BackupReplicateCommand(common));
        Subcommands.Add(new BackupKeepCommand("keep", "Pin a set: it never expires", common));
        Subcommands.Add(new BackupKeepCommand("unkeep", "Unpin a set", common));
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup backup",
        "shbackup backup --name weekly_backup --fingerprint",
        "shbackup backup --all-databases --exclude-database scratch --jobs 4",
        "shbackup backup --kind physical --jobs 4",
        "shbackup backup --to local --to second-disk",
        "shbackup backup --s3",
        "shbackup backup list",
        "shbackup backup verify --all --deep",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
    [
        ErrorKind.ToolMissing, ErrorKind.ChildFailed, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification, ErrorKind.Locked,
        ErrorKind.Partial,
    ];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var physical = parse.GetValue(_kind) == "physical";
        var setup = Read(parse, cli, physical);
        var databases = physical ? [] : await _select.DatabasesAsync(parse, setup.Server, cli.Log, cancel);
        return parse.GetValue(_dryRun)
            ? await PreviewAsync(cli, setup, databases, ScopeOf(parse, setup), cancel)
            : await BackUpAsync(parse, cli, setup, databases, cancel);
    }

    private BackupScope ScopeOf(ParseResult parse, Setup setup) => new(
        setup.Server,
        setup.Repository.StateDirectory,
        TimeSpan.FromSeconds(parse.GetValue(_lockWait) ?? 0),
        parse.GetValue(_newSystem),
        setup.Repository.RequiredCopies);

    // Most of what a run would fail at before it reads the first row; what can be known by writing only is left out.
    private static async Task<int> PreviewAsync(
        CliSession cli, Setup setup, IReadOnlyList<string> databases, BackupScope scope, CancellationToken cancel)
    {
        _ = await cli.Providers(setup.Encryption).ForWritingAsync(cancel);
        var isPhysical = setup.Wal is not null;
        var stores = RepositoryAccess.Open(cli, setup.Repository);
        var bytes = setup.Wal is { } wal
            ? await PhysicalRun(cli, setup).ProbeAsync(stores, scope, Places(setup.Repository, wal), cancel)
            : await LogicalRun(cli, setup).ProbeAsync(stores, databases, scope, cancel);
        var plan = new BackupPlanDocument(
            isPhysical ? "physical" : "logical",
            databases,
            bytes,
            setup.Repository.Places,
            setup.Encryption.Method.Word(),
            setup.Compression.Method.Word(),
            setup.Jobs,
            DryRun: true);
        cli.Print(plan, ResultJson.Default.BackupPlanDocument, BackupOutput.Print);
        return ExitCodes.Success;
    }

    private static BackupRun LogicalRun(CliSession cli, Setup setup) =>
        new(() => RepositoryAccess.Make(cli, setup.Repository), cli.Launcher, setup.Tools, cli.Time, setup.Meter, cli.Log);

    private static PhysicalBackupRun PhysicalRun(CliSession cli, Setup setup) =>
        new(() => RepositoryAccess.Make(cli, setup.Repository), cli.Launcher, setup.Tools, cli.Time, setup.Meter, cli.Log);

    private Setup Read(ParseResult parse, CliSession cli, bool physical)
    {
        var settings = cli.Settings(
            new SettingFlag("BACKUP_JOBS", _jobs.Name, parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)),
            new SettingFlag("BACKUP_ENCRYPTION_ENABLED", _noEncrypt.Name, parse.GetValue(_noEncrypt) ? "false" : null));
        var repository = RepositoryConfiguration.ReadForBackup(
            settings, new StoreChoice(parse.GetValue(_to) ?? [], parse.GetValue(_s3), parse.GetValue(_gcs)));
        var setup = new Setup(
            DatabaseConfiguration.Read(settings),
            repository,
            EncryptionConfiguration.Read(settings),
            physical ? RunConfiguration.ReadPageCompression(settings) : RunConfiguration.ReadCompression(settings),
            RetentionConfiguration.Read(settings, repository.Stores),
            RunConfiguration.ReadJobs(settings),
            cli.Meter(settings),
            cli.Tools(settings),
            new HookScope(cli, settings, "backup"),
            parse.GetValue(_name) ?? (physical ? $"{settings.Text("BACKUP_CLUSTER") ?? "cluster"}_physical" : null),
            physical ? WalConfiguration.ReadForArchiving(settings) : null);
        settings.ThrowIfInvalid();
        return setup;
    }

    // With all other problems of the command line. That a value is empty is said of every option in the same words.
    private static void CheckName(OptionResult given)
    {
        try
        {
            _ = given.GetValueOrDefault<string?>() is { } name && !string.IsNullOrWhiteSpace(name) ? SetId.CheckName(name) : null;
        }
        catch (BackupException e)
        {
            given.AddError($"{e.Message}: {e.Hint}");
        }
    }

    private async Task<int> BackUpAsync(
        ParseResult parse, CliSession cli, Setup setup, IReadOnlyList<string> databases, CancellationToken cancel)
    {
        if (setup.Encryption.Method == EncryptionMethod.None)
        {
            cli.Log.Warning("the backup is not encrypted");
        }

        var (provider, recipients) = await cli.Providers(setup.Encryption).ForWritingAsync(cancel);
        var options = new BackupOptions(
            Guid.NewGuid().ToString("n"),
            setup.Name,
            // A database or cluster may be called monthly_reports: only a name that somebody gave says how long to keep a set.
            parse.GetValue(_tier) is { } tier ? Enum.Parse<Tier>(tier, ignoreCase: true) : SetId.TierOf(parse.GetValue(_name) ?? string.Empty),
            setup.Jobs,
            parse.GetValue(_fingerprint),
            new Seal(setup.Compression, provider, recipients),
            setup.Retention,
            PrintVersion.Version);
        var scope = ScopeOf(parse, setup);
        IReadOnlyList<BackupOutcome> outcomes = [];
        var code = await setup.Hooks.RunAsync(
            [("DATABASES", string.Join(' ', databases)), ("RUN_ID", options.RunId)],
            async () =>
            {
                outcomes = setup.Wal is { } wal
                    ? [await RunPhysicalAsync(parse, cli, setup, wal, scope, options, cancel)]
                    : await RunLogicalAsync(cli, setup, databases, scope, options, cancel);

                var errors = outcomes.Select(static o => o.Error).OfType<BackupException>();
                return ExitCodes.WorstOf(errors);
            },
            cancel);
        BackupOutput.Report(cli, outcomes, setup.Meter.Elapsed, code);
        return code;
    }

    private static async Task<IReadOnlyList<BackupOutcome>> RunLogicalAsync(
        CliSession cli,
        Setup setup,
        IReadOnlyList<string> databases,
        BackupScope scope,
        BackupOptions options,
        CancellationToken cancel)
    {
        var run = LogicalRun(cli, setup);
        await using (new ProgressReporter(cli, "backup", setup.Meter, () => run.ExpectedBytes))
        {
            return await run.RunAsync(databases, scope, options, cancel);
        }
    }

    private async Task<BackupOutcome> RunPhysicalAsync(
        ParseResult parse,
        CliSession cli,
        Setup setup,
        WalConfiguration wal,
        BackupScope scope,
        BackupOptions options,
        CancellationToken cancel)
    {
        var run = PhysicalRun(cli, setup);
        var timeout = TimeSpan.FromSeconds(parse.GetValue(_archiveTimeout) ?? DefaultArchiveTimeout);
        await using (new ProgressReporter(cli, "backup", setup.Meter, () => run.ExpectedBytes))
        {
            return await run.RunAsync(scope, new WalScope(RepositoryAccess.OpenWal(cli, wal), wal.RequiredCopies, timeout), Places(setup.Repository, wal), options, cancel);
        }
    }

    private static (string Setting, string Directory)[] Places(RepositoryConfiguration repository, WalConfiguration wal) =>
    [
        .. repository.Directories, ("BACKUP_STATE_DIR", repository.StateDirectory),
        .. wal.Directories, ("BACKUP_SPOOL_DIR", wal.SpoolDirectory),
    ];

    private sealed record Setup(
        ConnectionSettings Server,
        RepositoryConfiguration Repository,
        EncryptionSettings Encryption,
        Compression Compression,
        StoreRetention Retention,
        int Jobs,
        TransferMeter Meter,
        PgToolFinder Tools,
        HookScope Hooks,
        string? Name,
        WalConfiguration? Wal);
}
