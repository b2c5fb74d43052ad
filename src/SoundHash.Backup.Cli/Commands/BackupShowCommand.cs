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

    public BackupShowCommand(CommonOptions common)
        : base("show", "Show one set with its objects", common) => Arguments.Add(_id);

    public override IReadOnlyList<string> Examples { get; } = ["shbackup backup show soundhash_backup_20261122_020000"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings);
        var retention = RetentionConfiguration.Read(settings);
        settings.ThrowIfInvalid();

        var catalogue = await Catalogue.LoadAsync(RepositoryAccess.OpenForReading(repository), cancel);
        var manifest = catalogue.Find(parse.GetRequiredValue(_id));
        var entry = catalogue.Sets.First(s => s.Id == manifest.Id);
        // As it is written, with fields that a later version added.
        using var written = JsonDocument.Parse(ManifestFormat.Write(manifest));
        var set = SetResult.Of(manifest, retention.ExpiryOf(manifest.Tier, manifest.Started), entry);
        var document = new ShowDocument(written.RootElement, set.Expires, set.Pinned, set.DamagedObjects);
        cli.Print(document, ResultJson.Default.ShowDocument, (terminal, d) => SetDetails.Print(terminal, manifest, d));
        return SetListing.ReportDamage(cli, set);
    }
}
