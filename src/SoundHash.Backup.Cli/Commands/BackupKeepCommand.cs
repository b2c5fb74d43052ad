using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup keep | unkeep</summary>
internal sealed class BackupKeepCommand : VerbCommand
{
    private readonly Argument<string> _id = new("ID") { Description = "The set, or the beginning of its id" };
    private readonly bool _pin;

    public BackupKeepCommand(string name, string description, CommonOptions common)
        : base(name, description, common)
    {
        _pin = name == "keep";
        Examples = [$"shbackup backup {name} soundhash_backup_20261122_020000"];
        Arguments.Add(_id);
    }

    public override IReadOnlyList<string> Examples { get; }

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.ReadForWriting(settings);
        settings.ThrowIfInvalid();

        var copies = await RepositoryAccess.LoadWholeAsync(cli, repository, cancel);
        var manifest = copies.Catalogue.Find(parse.GetRequiredValue(_id));
        // Each copy expires by itself.
        foreach (var copy in copies.CopiesOf(manifest.Id).Where(static c => c.Belongs))
        {
            await SetPin.SetAsync(copy.Store, manifest.Id, _pin, cli.Time, cancel);
        }

        cli.Print(
            new PinDocument(manifest.Id, _pin),
            ResultJson.Default.PinDocument,
            static (terminal, d) => terminal.Line(d.Pinned ? $"{d.Id} is pinned and does not expire" : $"{d.Id} is not pinned"));
        return ExitCodes.Success;
    }
}
