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

    private readonly StoreFrom _from = new();

    public BackupVerifyCommand(CommonOptions common)
        : base("verify", "Read sets back and compare them with their recorded hashes", common)
    {
        Arguments.Add(_id);
        Options.Add(_all);
        Options.Add(_deep);
        _from.AddTo(this);
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
        "shbackup backup verify --all --from s3",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings, _from.Choice(parse));
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = cli.Meter(settings);
        var tools = cli.Tools(settings);
        var wal = WalConfiguration.Read(settings, _from.Name(parse), mayBeNone: true);
        settings.ThrowIfInvalid();

        var copies = await RepositoryAccess.LoadAsync(cli, repository, cancel);
        var all = parse.GetValue(_all);
        var id = all ? null : copies.Catalogue.Find(parse.GetValue(_id)!).Id;
        var errors = copies.Problems.ToList();
        SetListing.ReportUnfinished(cli, all ? UnfinishedSet.Of(copies.Catalogue) : []);
        var deep = parse.GetValue(_deep);
        var providers = cli.Providers(encryption);
        var results = new List<VerifiedSet>();
        var readable = copies.Views.Where(static v => v.Catalogue is not null).ToList();
        var expected = readable.Sum(v => ChosenOf(v.Catalogue!, id).Sum(m => m.Objects.Sum(o => deep ? o.PlainBytes : o.StoredBytes)));
        await using (new ProgressReporter(cli, "verify", meter, () => expected))
        {
            foreach (var (store, catalogue) in readable.Select(static v => (v.Store, v.Catalogue!)))
            {
                errors.AddRange(UnusableOf(catalogue, id));
                var consistency = new ConsistencyCheck(RepositoryAccess.WalOf(cli, wal, store.Name), providers.For);
                var check = new CopyCheck(cli, store, repository.StateDirectory, tools, providers, consistency, meter, jobs, deep);
                foreach (var result in await check.RunAsync(catalogue, ChosenOf(catalogue, id), cancel))
                {
                    errors.AddRange(result.Findings);
                    results.Add(VerifiedSet.Of(result) with { Store = copies.Views.Count > 1 ? store.Name : null });
                }
            }
        }

        if (results.Count + errors.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, $"{SetListing.None(repository, broken: 0)}, so that nothing was verified", "shbackup backup");
        }

        errors.ForEach(cli.ReportLines);
        var code = ExitCodes.WorstOf(errors);
        cli.Print(new VerifyDocument(results, all ? BrokenSet.Of(copies.Catalogue) : [], deep, code), ResultJson.Default.VerifyDocument, Print);
        return code;
    }

    private static List<Manifest> ChosenOf(Catalogue catalogue, string? id) =>
        catalogue.Sets.Where(s => id is null || s.Id == id).Select(static s => s.Manifest).OfType<Manifest>().ToList();

    private static IEnumerable<BackupException> UnusableOf(Catalogue catalogue, string? id) => catalogue.Sets.Where(s => id is null || s.Id == id).Select(static s => s.Problem)
        .Concat(catalogue.Leftovers.Where(l => id is null || l.Id == id).Select(static l => l.Problem)).OfType<BackupException>();

    private static void Print(Terminal terminal, VerifyDocument document)
    {
        foreach (var result in document.Sets)
        {
            terminal.Line($"{result.SetId}  {(result.Store is { } store ? $"{store}  " : string.Empty)}{StateOf(result)}");
        }

        var good = document.Sets.Count(static s => s.Problems.Count == 0);
        var notChecked = document.Sets.Count(static s => s.NotChecked);
        terminal.Line(
            $"{good} of {document.Sets.Count + document.Broken.Count} {(document.Sets.Any(static s => s.Store is not null) ? "copies" : "sets")} are as they were written{(document.Deep ? ", decoded and readable" : string.Empty)}"
            + (notChecked > 0 ? $"; {notChecked} not checked" : string.Empty));
    }

    private static string StateOf(VerifiedSet set) => set.NotChecked
        ? $"not checked: no key that opens it{(set.Problems.Count > 1 ? $"; {Sizes.Count(set.Problems.Count - 1, "problem")} beside" : string.Empty)}"
        : $"{Sizes.Bytes(set.StoredBytes)}  {(set.Problems.Count == 0 ? "ok" : Sizes.Count(set.Problems.Count, "problem"))}";
}
