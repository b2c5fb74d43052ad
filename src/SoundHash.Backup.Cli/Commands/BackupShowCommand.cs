using System.CommandLine;
using System.Text;
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
        settings.ThrowIfInvalid();

        var catalogue = await Catalogue.LoadAsync(RepositoryAccess.OpenForReading(repository), cancel);
        var manifest = catalogue.Find(parse.GetRequiredValue(_id));
        if (cli.Json)
        {
            cli.Terminal.Document(Encoding.UTF8.GetString(ManifestFormat.Write(manifest)));
        }
        else
        {
            SetDetails.Print(cli.Terminal, manifest, catalogue.Sets.First(s => s.Id == manifest.Id));
        }

        return ExitCodes.Success;
    }
}
