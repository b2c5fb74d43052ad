using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup expire: removes what its tier no longer keeps.</summary>
internal sealed class BackupExpireCommand : VerbCommand
{
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be removed; remove nothing" };

    public BackupExpireCommand(CommonOptions common)
        : base(
            "expire",
            "Remove sets that are past their tier's time; never the newest good one of a database, nor the base backup that the recovery window begins with, which are read back first, never a pinned one",
            common) => Options.Add(_dryRun);

    public override IReadOnlyList<string> Examples { get; } = ["shbackup backup expire --dry-run", "shbackup backup expire"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification, ErrorKind.Locked];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.ReadForWriting(settings);
        var retention = RetentionConfiguration.Read(settings, repository.Stores);
        var wal = WalConfiguration.Read(settings, mayBeNone: true);
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        settings.ThrowIfInvalid();

        // Before the lock and the probe of the clock, which would make a store of a mistyped BACKUP_DIR.
        foreach (var (setting, directory) in repository.Directories)
        {
            RepositoryAccess.EnsureThere(directory, setting);
        }

        using var held = await RunLock.TakeAsync(repository.StateDirectory, "expire", null, TimeSpan.Zero, cli.Time, cancel);
        var dryRun = parse.GetValue(_dryRun);
        var items = new List<ExpireItem>();
        var problems = new List<BackupException>();
        await using (new ProgressReporter(cli, "verify", meter, static () => 0))
        {
            foreach (var store in RepositoryAccess.Open(cli, repository))
            {
                var consistency = new ConsistencyCheck(RepositoryAccess.WalOf(cli, wal, store.Name), cli.Providers(encryption).For);
                var expiry = new Expiry(store, new SetVerifier(store, cli.Launcher, meter), jobs, cli.Time, cli.Log, consistency);
                try
                {
                    var decisions = await expiry.RunAsync(retention.Of(store.Name), held, dryRun, cancel);
                    problems.AddRange(decisions.SelectMany(static d => new[] { d.Damage, d.Problem }).OfType<BackupException>());
                    items.AddRange(decisions.Select(d => new ExpireItem(d.Set.Id, d.Expires, d.Reason) { Store = repository.Stores.Count > 1 ? store.Name : null }));
                }
                catch (BackupException e) when (repository.Stores.Count > 1 && !cancel.IsCancellationRequested)
                {
                    // What is wrong in one store is no reason to keep everything in the others.
                    problems.Add(e);
                }
            }
        }

        problems.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(problems);
        cli.Print(new ExpireDocument(items, dryRun, code), ResultJson.Default.ExpireDocument, (terminal, d) => Print(terminal, d, repository));
        return code;
    }

    private static void Print(Terminal terminal, ExpireDocument document, RepositoryConfiguration repository)
    {
        if (document.Sets.Count == 0)
        {
            terminal.Line(SetListing.None(repository, broken: 0));
        }

        foreach (var item in document.Sets)
        {
            var what = item.Expires ? document.DryRun ? "would remove" : "removed" : "kept";
            terminal.Line($"{what,-12}  {item.Id}  {(item.Store is { } store ? $"{store}  " : string.Empty)}{item.Reason}");
        }
    }
}
