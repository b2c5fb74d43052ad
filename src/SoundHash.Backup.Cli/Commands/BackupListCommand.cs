using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup list</summary>
internal sealed class BackupListCommand : VerbCommand
{
    private readonly StoreFrom _from = new();

    public BackupListCommand(CommonOptions common)
        : base("list", "List the sets, newest first, and where their copies are", common) => _from.AddTo(this);

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup backup list", "shbackup backup list --json", "shbackup backup list --from s3"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings, _from.Choice(parse));
        var retention = RetentionConfiguration.Read(settings, repository.Stores);
        settings.ThrowIfInvalid();

        foreach (var (setting, directory) in repository.Directories.Where(static d => !Directory.Exists(d.Directory)))
        {
            cli.Log.Warning(
                "there is no repository at {Directory:l} yet; if there should be, check that its disk is mounted, and {Setting:l} and BACKUP_CLUSTER",
                directory,
                setting);
        }

        var copies = await RepositoryAccess.LoadAsync(cli, repository, cancel);
        var document = SetListing.Of(copies, retention);
        cli.Print(
            document,
            ResultJson.Default.ListDocument,
            (terminal, list) => SetListing.Print(terminal, list, repository, cli.Time.GetUtcNow()));
        return SetListing.ReportBroken(cli, document, copies);
    }
}
