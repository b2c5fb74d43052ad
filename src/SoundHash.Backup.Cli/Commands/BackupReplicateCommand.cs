using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;
using ClusterWal = SoundHash.Backup.Repository.Archive.WalArchive;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup replicate: gives a store what another one has.</summary>
internal sealed class BackupReplicateCommand : VerbCommand
{
    private readonly Argument<string?> _id = new("ID") { Description = "The set, or the beginning of its id", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<bool> _all = new("--all") { Description = "Every set, and all WAL where both stores have WAL" };
    private readonly Option<string> _from = new("--from") { Description = "The store that has them", HelpName = "STORE", Required = true };
    private readonly Option<string> _to = new("--to") { Description = "The store that is to get them", HelpName = "STORE", Required = true };
    private readonly Option<int?> _jobs = WholeNumber.Jobs("Objects at once");

    public BackupReplicateCommand(CommonOptions common)
        : base("replicate", "Copy sets from one store to another as they are stored: needs no key, goes on where it was stopped; by its id, a copy is read back and mended", common)
    {
        Arguments.Add(_id);
        foreach (var option in new Option[] { _all, _from, _to, _jobs })
        {
            Options.Add(option);
        }

        Validators.Add(result =>
        {
            if (result.Peek(_all) == (result.Peek(_id) is not null))
            {
                result.AddError("give the id of a set, or --all");
            }

            if (result.Peek(_from) is { } from && from == result.Peek(_to))
            {
                result.AddError("--from and --to are the same store");
            }
        });
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup backup replicate soundhash_backup_20261122_020000 --from local --to s3",
        "shbackup backup replicate --all --from s3 --to second-disk --jobs 4",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification, ErrorKind.Locked];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var (from, to) = (parse.GetRequiredValue(_from), parse.GetRequiredValue(_to));
        var settings = cli.Settings(new SettingFlag("BACKUP_JOBS", _jobs.Name, parse.GetValue(_jobs)?.ToString(CultureInfo.InvariantCulture)));
        var repository = RepositoryConfiguration.ReadForWriting(settings, new StoreChoice([from, to]));
        var retention = RetentionConfiguration.Read(settings, repository.Stores);
        var wal = WalConfiguration.ReadForWriting(settings, mayBeNone: true);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        settings.ThrowIfInvalid();

        var stores = RepositoryAccess.Open(cli, repository).ToDictionary(static s => s.Name);
        var source = await Catalogue.LoadAsync(stores[from], cancel);
        var all = parse.GetValue(_all);
        var chosen = all ? Kept(cli, source, to, retention) : [source.Sets.First(s => s.Id == source.Find(parse.GetValue(_id)!).Id)];
        using var held = await RunLock.TakeAsync(repository.StateDirectory, "replicate", to, TimeSpan.Zero, cli.Time, cancel);
        var replication = new SetReplication(stores[from], stores[to], held, retention, jobs, meter, cli.Time, cli.Log);
        var sets = new List<ReplicatedSet>();
        await using (new ProgressReporter(cli, "replicate", meter, () => chosen.Sum(static s => s.Manifest?.StoredBytes ?? 0)))
        {
            foreach (var set in chosen)
            {
                sets.Add(await OneAsync(set, async () =>
                {
                    using var use = await SetUse.BeginAsync(
                        repository.StateDirectory, stores[from], set.Id, reason => cli.Log.Debug("{Reason:l}", reason), cli.Time, cancel);
                    return await replication.RunAsync(set, readBack: !all, cancel);
                }, cancel));
            }
        }

        // The log that a base backup needs is part of it.
        var physical = chosen.Select(static s => s.Manifest).Where(static m => m?.Physical is not null).Select(static m => m!).ToList();
        var errors = sets.Select(static s => s.Error).OfType<BackupException>()
            .Concat(all ? source.Leftovers.Select(static l => l.Problem).OfType<BackupException>() : []).ToList();
        var logs = all || physical.Count > 0 ? await ReplicateWalAsync(cli, wal, from, to, physical, all, jobs, errors, cancel) : [];
        if (chosen.Count == 0 && logs.Count == 0 && errors.Count == 0)
        {
            throw new BackupException(
                ErrorKind.Failed, $"there are neither sets nor WAL in store {from}, {repository.Stores.First(s => s.Name == from).Place}", $"shbackup backup list --from {from}");
        }

        errors.AddRange(logs.SelectMany(static w => w.Errors));
        var whole = physical.Where(m => sets.Any(s => s.Id == m.Id && s.Error is null));
        errors.AddRange(await LockWalAsync(RepositoryAccess.OpenWal(cli, wal).FirstOrDefault(s => s.Name == to), whole, retention, cancel));
        errors.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(errors);
        var document = new ReplicateDocument(
            from,
            to,
            sets.ConvertAll(ReplicateItem.Of),
            logs.Sum(static w => w.Copied),
            code);
        cli.Print(document, ResultJson.Default.ReplicateDocument, Print);
        return code;
    }

    // What the other store keeps no longer would be removed there, and copied again, and so on.
    private static List<CatalogueEntry> Kept(CliSession cli, Catalogue source, string to, StoreRetention retention)
    {
        var kept = new List<CatalogueEntry>();
        foreach (var decision in RetentionPolicy.Decide(source, retention.Of(to), cli.Time.GetUtcNow(), new Dictionary<string, VerificationResult>()).Reverse())
        {
            if (decision.Expires)
            {
                cli.Log.Information("set {Id:l} is not copied: in store {To:l} its {Reason:l}", decision.Set.Id, to, decision.Reason);
            }
            else
            {
                kept.Add(decision.Set);
            }
        }

        return kept;
    }

    private static async Task<ReplicatedSet> OneAsync(CatalogueEntry set, Func<Task<ReplicatedSet>> replicate, CancellationToken cancel)
    {
        try
        {
            return await replicate();
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            return new ReplicatedSet(set.Id, 0, 0, 0, e);
        }
    }

    private static async Task<IReadOnlyList<ReplicatedWal>> ReplicateWalAsync(
        CliSession cli,
        WalConfiguration wal,
        string from,
        string to,
        IReadOnlyList<Manifest> physical,
        bool all,
        int jobs,
        List<BackupException> errors,
        CancellationToken cancel)
    {
        var stores = RepositoryAccess.OpenWal(cli, wal).ToDictionary(static s => s.Name);
        if (!stores.TryGetValue(to, out var target))
        {
            cli.Log.Information("no WAL is copied: store {To:l} has none", to);
            return [];
        }

        if (!stores.TryGetValue(from, out var source))
        {
            // Its sets there need it all the same; whether it has it, verify tells.
            cli.Log.Warning("no WAL is copied, since store {From:l} has none: shbackup wal-archive verify --from {To:l}", from, to);
            return [];
        }

        var there = await ClusterWal.SystemsAsync(source, cancel);
        errors.AddRange(physical.Where(m => !there.Contains(SystemOf(m))).Select(m => new BackupException(
            ErrorKind.Verification, $"store {from} has no WAL of system identifier {m.SystemIdentifier}, which set {m.Id} needs", "shbackup wal-archive verify")));
        var results = new List<ReplicatedWal>();
        foreach (var system in there.Where(s => all || physical.Any(m => SystemOf(m) == s)))
        {
            var replication = new WalReplication(new ClusterWal(source, system), new ClusterWal(target, system), jobs, cli.Time, cli.Log);
            var own = physical.Where(m => SystemOf(m) == system).ToList();
            results.Add(await replication.RunAsync(own.SelectMany(static m => m.Physical!.NeededWal).ToHashSet(), onlyNeeded: !all, cancel));
        }

        return results;
    }

    private static ulong SystemOf(Manifest set) => ulong.TryParse(set.SystemIdentifier, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0;

    // An earlier run may have been stopped between the set and its log: so it is done for sets that were there, too.
    private static async Task<IReadOnlyList<BackupException>> LockWalAsync(
        IObjectStore? target, IEnumerable<Manifest> sets, StoreRetention retention, CancellationToken cancel)
    {
        var errors = new List<BackupException>();
        foreach (var set in target is null ? [] : sets)
        {
            try
            {
                await WalLock.RunAsync(new ClusterWal(target!, SystemOf(set)), set.Physical!.NeededWal, SetKeeping.Of(set, retention), cancel);
            }
            catch (StorageException e)
            {
                errors.Add(new BackupException(e.Kind, $"the WAL that set {set.Id} needs can't be locked: {e.Message}", e.Hint, e));
            }
        }

        return errors;
    }

    private static void Print(Terminal terminal, ReplicateDocument document)
    {
        foreach (var set in document.Sets)
        {
            terminal.Line(set.Error is not null
                ? $"{set.Id}  FAILED"
                : set.Objects == 0 ? $"{set.Id}  was there"
                : $"{set.Id}  {Sizes.Count(set.Objects, "object")} copied, {Sizes.Bytes(set.Bytes)}, {Sizes.Bytes((long)set.BytesPerSecond)}/s");
        }

        terminal.Line($"{Sizes.Count(document.Sets.Count(static s => s.Error is null), "set")} there, {Sizes.Count(document.WalFiles, "WAL file")} copied");
    }
}
