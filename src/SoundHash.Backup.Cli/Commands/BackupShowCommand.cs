using System.CommandLine;
using System.Text.Json;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup show ID: everything that the manifest says.</summary>
internal sealed class BackupShowCommand : VerbCommand
{
    private readonly Argument<string> _id = new("ID") { Description = "The set, or the beginning of its id" };
    private readonly StoreFrom _from = new();

    public BackupShowCommand(CommonOptions common)
        : base("show", "Show one set with its objects", common)
    {
        Arguments.Add(_id);
        _from.AddTo(this);
    }

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup backup show soundhash_backup_20261122_020000", "shbackup backup show soundhash_backup_20261122_020000 --from s3"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings, _from.Choice(parse));
        var retention = RetentionConfiguration.Read(settings, repository.Stores);
        settings.ThrowIfInvalid();

        var copies = await RepositoryAccess.LoadForRestoreAsync(cli, repository, cancel);
        var catalogue = copies.Catalogue;
        var manifest = catalogue.Find(parse.GetRequiredValue(_id));
        var entry = catalogue.Sets.First(s => s.Id == manifest.Id);
        // As it is written, with fields that a later version added.
        using var written = JsonDocument.Parse(ManifestFormat.Write(manifest));
        var set = SetResult.Of(manifest, SetListing.ExpiryOf(copies, manifest, retention), entry) with { Copies = CopyResult.Of(copies, manifest.Id) };
        var document = new ShowDocument(written.RootElement, set.Expires, set.Pinned, set.DamagedObjects, set.Copies);
        cli.Print(document, ResultJson.Default.ShowDocument, (terminal, d) => SetDetails.Print(terminal, manifest, d));
        return SetListing.ReportDamage(cli, set);
    }
}
