using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Backups;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup: databases into sets.</summary>
internal sealed class BackupCommand : VerbCommand
{
    private readonly Option<string[]> _database = new("--database") { Description = "Database to back up; may be repeated (default: DATABASE_NAME)", HelpName = "D" };
    private readonly Option<bool> _all = new("--all-databases") { Description = "Back up every database that accepts connections, each into its own set" };
    private readonly Option<string[]> _exclude = new("--exclude-database") { Description = "Leave this one out of --all-databases; may be repeated", HelpName = "D" };
    private readonly Option<string?> _name = new("--name") { Description = "Name of the sets; weekly… and monthly… choose the tier (default: DATABASE_backup)", HelpName = "N" };
    private readonly Option<string?> _tier = new("--tier") { Description = "How long to keep the sets: standard, extended or archive", HelpName = "T" };
    private readonly Option<int?> _jobs = new("--jobs", "-j") { Description = "Streams at once (default: BACKUP_JOBS, else the cores, at most 4)", HelpName = "N" };
    private readonly Option<bool> _fingerprint = new("--fingerprint") { Description = "Also hash the rows of every table, to compare after a restore" };
    private readonly Option<bool> _noEncrypt = new("--no-encrypt") { Description = "Do not encrypt, whatever BACKUP_ENCRYPTION_ENABLED says" };
    private readonly Option<int> _lockWait = new("--lock-wait") { Description = "Seconds to wait for another run of the same database (default: 0)", HelpName = "S" };
    private readonly Option<bool> _newSystem = new("--new-system") { Description = "Accept a cluster that this repository does not know (after pg_upgrade or initdb)" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be backed up and where to; write nothing" };

    public BackupCommand(CommonOptions common)
        : base("backup", "Back up databases, and look after the sets", common)
    {
        _tier.AcceptOnlyFromAmong("standard", "extended", "archive");
        _lockWait.Validators.Add(static r =>
        {
            if (r.GetValueOrDefault<int>() < 0)
            {
                r.AddError("--lock-wait takes seconds from 0 up");
            }
        });
        foreach (var option in new Option[] { _database, _all, _exclude, _name, _tier, _jobs, _fingerprint, _noEncrypt, _lockWait, _newSystem, _dryRun })
        {
            Options.Add(option);
        }

        Subcommands.Add(new BackupListCommand(common));
        Subcommands.Add(new BackupShowCommand(common));
        Subcommands.Add(new BackupVerifyCommand(common));
        Subcommands.Add(new BackupExpireCommand(common));
        Subcommands.Add(new BackupKeepCommand("keep", "Pin a set: it never expires", common));
        Subcommands.Add(new BackupKeepCommand("unkeep", "Unpin a set", common));
        Validators.Add(result =>
        {
            if (result.GetValue(_all) && result.GetValue(_database) is { Length: > 0 })
            {
                result.AddError("--database and --all-databases exclude each other");
            }

            if (!result.GetValue(_all) && result.GetValue(_exclude) is { Length: > 0 })
            {
                result.AddError("--exclude-database needs --all-databases");
            }
        });
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup backup",
        "shbackup backup --name weekly_backup --fingerprint",
        "shbackup backup --all-databases --exclude-database scratch --jobs 4",
        "shbackup backup list",
        "shbackup backup verify --all --deep",
    ];

    public override IReadOnlyList<int> ExitCodes { get; } = [4, 5, 6, 7, 8, 9];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings(
            ("BACKUP_JOBS", parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)),
            ("BACKUP_ENCRYPTION_ENABLED", parse.GetValue(_noEncrypt) ? "false" : null));
        var server = DatabaseConfiguration.Read(settings);
        var repository = RepositoryConfiguration.Read(settings);
        var encryption = EncryptionConfiguration.Read(settings);
        var compression = RunConfiguration.ReadCompression(settings);
        var retention = RetentionConfiguration.Read(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = new TransferMeter(cli.Time, settings.Bytes("BACKUP_RATE_LIMIT"));
        var tools = new PgToolFinder(cli.Launcher, settings.PathOf("PG_BIN_DIR"));
        settings.ThrowIfInvalid();

        var name = parse.GetValue(_name) is { } given ? SetId.CheckName(given) : null;
        var databases = await DatabasesAsync(parse, server, cancel);
        if (parse.GetValue(_dryRun))
        {
            cli.Print(
                new BackupPlanDocument(databases, repository.Directory, encryption.Method.ToString(), compression.Method.ToString(), jobs, DryRun: true),
                ResultJson.Default.BackupPlanDocument,
                static (terminal, plan) => terminal.Line($"would back up {string.Join(", ", plan.Databases)} to {plan.Store} (encryption: {plan.Encryption}, compression: {plan.Compression}, jobs: {plan.Jobs})"));
            return Errors.ExitCodes.Success;
        }

        if (encryption.Method == EncryptionMethod.None)
        {
            cli.Log.Warning("the backup is not encrypted");
        }

        var (provider, recipients) = await new EncryptionProviders(cli.Launcher, cli.Time, encryption).ForWritingAsync(cancel);
        var options = new BackupOptions(
            Guid.NewGuid().ToString("n"),
            name,
            parse.GetValue(_tier) is { } tier ? Enum.Parse<Tier>(tier, ignoreCase: true) : null,
            jobs,
            parse.GetValue(_fingerprint),
            new Seal(compression, provider, recipients),
            retention,
            PrintVersion.Version);
        var scope = new BackupScope(server, repository.StateDirectory, TimeSpan.FromSeconds(parse.GetValue(_lockWait)), parse.GetValue(_newSystem));
        var hooks = new HookScope(cli, settings, "BACKUP", new() { ["DATABASES"] = string.Join(' ', databases), ["RUN_ID"] = options.RunId });
        IReadOnlyList<BackupOutcome> outcomes = [];
        var code = await hooks.RunAsync(
            async () =>
            {
                var run = new BackupRun(RepositoryAccess.Make(repository), cli.Launcher, tools, cli.Time, meter, cli.Log);
                await using (new ProgressReporter(cli, "backup", meter, () => run.ExpectedBytes))
                {
                    outcomes = await run.RunAsync(databases, scope, options, cancel);
                }

                return Errors.ExitCodes.Worst(outcomes.Where(static o => o.Error is not null).Select(static o => Errors.ExitCodes.For(o.Error!.Kind)));
            },
            cancel);
        Report(cli, outcomes, meter.Elapsed, code);
        return code;
    }

    private async Task<IReadOnlyList<string>> DatabasesAsync(ParseResult parse, ConnectionSettings server, CancellationToken cancel)
    {
        if (parse.GetValue(_all))
        {
            return await BackupRun.ListDatabasesAsync(server, parse.GetValue(_exclude) ?? [], cancel);
        }

        return parse.GetValue(_database) is { Length: > 0 } named ? named.Distinct().ToList() : [server.Database];
    }

    private static void Report(CliSession cli, IReadOnlyList<BackupOutcome> outcomes, TimeSpan elapsed, int code)
    {
        var items = outcomes.Select(static o => new BackupDocumentItem(
            o.Database, o.Set is null ? null : SetResult.Of(o.Set, o.Set.Expires, null), o.Error is null ? null : ErrorResult.Of(o.Error))).ToList();
        foreach (var error in outcomes.Select(static o => o.Error).OfType<BackupException>())
        {
            cli.ReportLines(error);
        }

        cli.Print(new BackupDocument(items, elapsed.TotalSeconds, code), ResultJson.Default.BackupDocument, Print);
    }

    private static void Print(Terminal terminal, BackupDocument document)
    {
        foreach (var set in document.Databases.Select(static d => d.Set).OfType<SetResult>())
        {
            terminal.Line($"{set.Id}  database \"{TextTable.Printable(set.Database)}\"  {Sizes.Bytes(set.StoredBytes)} stored  encryption {set.Encryption}  kept until {Sizes.Time(set.Expires)}");
        }

        var failed = document.Databases.Count(static d => d.Error is not null);
        terminal.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"{document.Databases.Count - failed} of {document.Databases.Count} databases backed up in {Sizes.Duration(TimeSpan.FromSeconds(document.Seconds))}"));
    }
}
