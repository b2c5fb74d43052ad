using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive push PATH [NAME]: for archive_command.</summary>
internal sealed class WalPushCommand : VerbCommand
{
    // PostgreSQL takes a code above 125, and the end by a signal, for a reason to end its archiver (src/backend/postmaster/pgarch.c).
    private const int HighestThatPostgresRetries = 125;
    private static readonly TimeSpan LockWait = TimeSpan.FromSeconds(60);

    private readonly Argument<string> _path = new("PATH") { Description = "The file, as %p names it: pg_wal/NAME in the data directory" };
    private readonly Argument<string?> _name = new("NAME")
    {
        Description = "The name to archive it under (default: the file's own)",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public WalPushCommand(CommonOptions common)
        : base("push", "Archive a file of WAL, and those that wait behind it (for archive_command)", common)
    {
        Arguments.Add(_path);
        Arguments.Add(_name);
    }

    public override IReadOnlyList<string> Examples { get; } = ["shbackup wal-archive push pg_wal/000000010000000000000042"];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification, ErrorKind.Locked];

    public override IEnumerable<ExitCode> Exits => base.Exits.Where(e => ExitWith(e.Code) == e.Code);

    public override int ExitWith(int code) => code > HighestThatPostgresRetries ? ExitCodes.For(ErrorKind.Failed) : code;

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var wal = WalConfiguration.ReadForArchiving(settings);
        var encryption = EncryptionConfiguration.Read(settings);
        var compression = RunConfiguration.ReadPageCompression(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        settings.ThrowIfInvalid();

        var (provider, recipients) = await cli.Providers(encryption).ForWritingAsync(cancel);
        var push = new WalPush(
            RepositoryAccess.OpenWal(cli, wal),
            new Seal(compression, provider, recipients),
            new WalPushSettings(wal.Directories, wal.RequiredCopies, wal.SpoolDirectory, jobs, LockWait),
            cli.Time,
            cli.Log);
        var outcome = await push.RunAsync(parse.GetRequiredValue(_path), parse.GetValue(_name), cancel);
        if (outcome.Result == WalPutResult.AlreadyThere)
        {
            cli.Log.Information("{Path} was archived before, with the same content", parse.GetRequiredValue(_path));
        }

        cli.Log.Debug("{Ahead} segments were archived ahead", outcome.Ahead);
        return ExitCodes.Success;
    }
}
