using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup verify: reads sets back and compares.</summary>
internal sealed class BackupVerifyCommand : VerbCommand
{
    private readonly Argument<string?> _id = new("ID") { Description = "The set, or the beginning of its id", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<bool> _all = new("--all") { Description = "Verify every set" };
    private readonly Option<bool> _deep = new("--deep") { Description = "Also decrypt, decompress and read each archive: its table of contents, or every file of a physical set (needs the key)" };

    public BackupVerifyCommand(CommonOptions common)
        : base("verify", "Read sets back and compare them with their recorded hashes", common)
    {
        Arguments.Add(_id);
        Options.Add(_all);
        Options.Add(_deep);
        Validators.Add(result =>
        {
            if (result.Peek(_all) == (result.Peek(_id) is not null))
            {
                result.AddError("give the id of a set, or --all");
            }
        });
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup backup verify soundhash_backup_20261122_020000",
        "shbackup backup verify --all",
        "shbackup backup verify --all --deep",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings);
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        var tools = cli.Tools(settings);
        var wal = WalConfiguration.Read(settings);
        settings.ThrowIfInvalid();

        var store = RepositoryAccess.OpenForReading(repository);
        var catalogue = await Catalogue.LoadAsync(store, cancel);
        var all = parse.GetValue(_all);
        var chosen = all
            ? catalogue.Sets.Select(static s => s.Manifest).OfType<Manifest>().ToList()
            : [catalogue.Find(parse.GetValue(_id)!)];
        var unusable = all
            ? catalogue.Sets.Select(static s => s.Problem).Concat(catalogue.Leftovers.Select(static l => l.Problem)).OfType<BackupException>().ToList()
            : [];
        SetListing.ReportUnfinished(cli, all ? UnfinishedSet.Of(catalogue) : []);
        if (chosen.Count + unusable.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, $"{SetListing.None(repository.Directory, broken: 0)}, so that nothing was verified", "shbackup backup");
        }

        var deep = parse.GetValue(_deep);
        var verifier = new SetVerifier(store, cli.Launcher, meter);
        var providers = cli.Providers(encryption);
        var consistency = new ConsistencyCheck(RepositoryAccess.OpenWal(wal), providers.For);
        var lacking = chosen.Exists(static m => m.Kind == SetKind.Physical)
            ? await consistency.LackingAsync(catalogue, cancel)
            : new Dictionary<string, BackupException>();
        async Task<VerificationResult> VerifyAsync(Manifest manifest) => (deep, manifest.Kind) switch
        {
            (false, _) => await verifier.VerifyStoredAsync(manifest, jobs, cancel),
            (true, SetKind.Physical) => await verifier.VerifyDeepPhysicalAsync(manifest, providers.For, jobs, cancel),
            _ => await verifier.VerifyDeepAsync(
                manifest, await tools.ForRestoreAsync(manifest.DumpMajor, 0, cancel), providers.For, jobs, cancel),
        };
        var results = new List<VerificationResult>();
        var expected = chosen.Sum(m => m.Objects.Sum(o => deep ? o.PlainBytes : o.StoredBytes));
        await using (new ProgressReporter(cli, "verify", meter, () => expected))
        {
            foreach (var manifest in chosen)
            {
                var result = await OneAsync(manifest, async () =>
                {
                    using var use = await SetUse.BeginAsync(
                        repository.StateDirectory, store, manifest.Id, reason => cli.Log.Debug("{Reason:l}", reason), cli.Time, cancel);
                    return await VerifyAsync(manifest);
                });
                var ofWal = lacking.GetValueOrDefault(manifest.Id) is { } lack ? [lack] : await consistency.DamageAsync(manifest, meter, cancel);
                results.Add(result with { Findings = [.. result.Findings, .. ofWal] });
                cancel.ThrowIfCancellationRequested();
            }
        }

        var errors = unusable.Concat(results.SelectMany(static r => r.Findings)).ToList();
        errors.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(errors);
        cli.Print(new VerifyDocument(results.ConvertAll(VerifiedSet.Of), all ? BrokenSet.Of(catalogue) : [], deep, code), ResultJson.Default.VerifyDocument, Print);
        return code;
    }

    // A set that can't be decrypted or read at all must not keep the others from being looked at.
    private static async Task<VerificationResult> OneAsync(Manifest manifest, Func<Task<VerificationResult>> verify)
    {
        try
        {
            return await verify();
        }
        catch (BackupException e)
        {
            return new VerificationResult(manifest.Id, 0, [e]) { IsSealed = e.Kind == ErrorKind.Encryption };
        }
    }

    private static void Print(Terminal terminal, VerifyDocument document)
    {
        foreach (var result in document.Sets)
        {
            terminal.Line($"{result.SetId}  {StateOf(result)}");
        }

        var good = document.Sets.Count(static s => s.Problems.Count == 0);
        var notChecked = document.Sets.Count(static s => s.NotChecked);
        terminal.Line(
            $"{good} of {document.Sets.Count + document.Broken.Count} sets are as they were written{(document.Deep ? ", decoded and readable" : string.Empty)}"
            + (notChecked > 0 ? $"; {notChecked} not checked" : string.Empty));
    }

    private static string StateOf(VerifiedSet set) => set.NotChecked
        ? $"not checked: no key that opens it{(set.Problems.Count > 1 ? $"; {Sizes.Count(set.Problems.Count - 1, "problem")} beside" : string.Empty)}"
        : $"{Sizes.Bytes(set.StoredBytes)}  {(set.Problems.Count == 0 ? "ok" : Sizes.Count(set.Problems.Count, "problem"))}";
}
