using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup list</summary>
internal sealed class BackupListCommand(CommonOptions common)
    : VerbCommand("list", "List the sets, newest first", common)
{
    public override IReadOnlyList<string> Examples { get; } = ["shbackup backup list", "shbackup backup list --json"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings);
        var retention = RetentionConfiguration.Read(settings);
        settings.ThrowIfInvalid();

        if (!Directory.Exists(repository.Directory))
        {
            cli.Log.Warning(
                "there is no repository at {Directory:l} yet; if there should be, check that its disk is mounted, and BACKUP_DIR and BACKUP_CLUSTER",
                repository.Directory);
        }

        var catalogue = await Catalogue.LoadAsync(RepositoryAccess.OpenForReading(repository), cancel);
        var document = SetListing.Of(catalogue, retention);
        cli.Print(
            document,
            ResultJson.Default.ListDocument,
            (terminal, list) => SetListing.Print(terminal, list, repository.Directory, cli.Time.GetUtcNow()));
        return SetListing.ReportBroken(cli, document);
    }
}
