using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup verify: reads sets back and compares.</summary>
internal sealed class BackupVerifyCommand : VerbCommand
{
    private readonly Argument<string?> _id = new("id") { Description = "The set, or the beginning of its id", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<bool> _all = new("--all") { Description = "Verify every set" };
    private readonly Option<bool> _deep = new("--deep") { Description = "Also decrypt, decompress and read each archive's table of contents (needs the key)" };

    public BackupVerifyCommand(CommonOptions common)
        : base("verify", "Read sets back and compare them with their recorded hashes", common)
    {
        Arguments.Add(_id);
        Options.Add(_all);
        Options.Add(_deep);
        Validators.Add(result =>
        {
            if (result.GetValue(_all) == (result.GetValue(_id) is not null))
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

    public override IReadOnlyList<int> ExitCodes { get; } = [4, 6, 7, 8];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings);
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = new TransferMeter(cli.Time, settings.Bytes("BACKUP_RATE_LIMIT"));
        var tools = new PgToolFinder(cli.Launcher, settings.PathOf("PG_BIN_DIR"));
        settings.ThrowIfInvalid();

        var store = RepositoryAccess.Open(repository);
        var catalogue = await Catalogue.LoadAsync(store, cancel);
        var chosen = parse.GetValue(_all)
            ? catalogue.Sets.Select(static s => s.Manifest).OfType<Manifest>().ToList()
            : [catalogue.Find(parse.GetValue(_id)!)];
        var broken = parse.GetValue(_all)
            ? catalogue.Sets.Where(static s => s.Problem is not null).Select(static s => new BrokenSet(s.Id, s.Problem!.Message)).ToList()
            : [];
        if (chosen.Count + broken.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, "there are no sets, so that nothing was verified", "shbackup backup");
        }

        var deep = parse.GetValue(_deep);
        var verifier = new SetVerifier(store, cli.Launcher, meter);
        var providers = new EncryptionProviders(cli.Launcher, cli.Time, encryption);
        var results = new List<VerificationResult>();
        await using (new ProgressReporter(cli, "verify", meter, () => chosen.Sum(m => m.Objects.Sum(o => deep ? o.PlainBytes : o.StoredBytes))))
        {
            foreach (var manifest in chosen)
            {
                results.Add(deep
                    ? await verifier.VerifyDeepAsync(manifest, await tools.ForRestoreAsync(manifest.DumpMajor, 0, cancel), providers.For, jobs, cancel)
                    : await verifier.VerifyStoredAsync(manifest, jobs, cancel));
            }
        }

        var bad = broken.Count > 0 || results.Any(static r => r.Problems.Count > 0);
        var code = bad ? Errors.ExitCodes.For(ErrorKind.Verification) : Errors.ExitCodes.Success;
        foreach (var problem in broken.Select(static b => b.Problem).Concat(results.SelectMany(static r => r.Problems)))
        {
            cli.Terminal.ErrorLine($"error: {problem}");
        }

        cli.Print(new VerifyDocument(results, broken, deep, code), ResultJson.Default.VerifyDocument, Print);
        return code;
    }

    private static void Print(Terminal terminal, VerifyDocument document)
    {
        foreach (var result in document.Sets)
        {
            terminal.Line($"{result.SetId}  {Sizes.Bytes(result.StoredBytes)}  {(result.Problems.Count == 0 ? "ok" : $"{result.Problems.Count} problems")}");
        }

        var good = document.Sets.Count(static s => s.Problems.Count == 0);
        terminal.Line($"{good} of {document.Sets.Count + document.Broken.Count} sets are as they were written{(document.Deep ? ", decoded and readable" : string.Empty)}");
    }
}
