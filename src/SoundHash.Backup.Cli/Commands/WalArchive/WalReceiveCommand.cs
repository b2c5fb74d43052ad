using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive receive: the log as the server writes it, into the archive within seconds.</summary>
internal sealed class WalReceiveCommand : VerbCommand
{
    private const int DefaultFlushSeconds = 10;
    private const int MostFlushSeconds = 3600;

    private readonly Option<int?> _flush = WholeNumber.Option(
        "--flush-seconds", "SECONDS", $"How often what is new of an unfinished segment is archived (default: {DefaultFlushSeconds})");

    private readonly Option<string?> _slot = new("--slot")
    {
        Description = "The replication slot, made when it is missing (default: shbackup_wal, or shbackup_ and BACKUP_CLUSTER)",
        HelpName = "NAME",
    };

    private readonly Option<bool> _dropSlot = new("--drop-slot")
    {
        Description = "Archive what is left here, drop the slot and end: the server no longer keeps WAL for a receiver",
    };

    private readonly Option<bool> _synchronous = new("--synchronous")
    {
        Description = "Sync what is received at once; with the slot's name in synchronous_standby_names, commits wait for that",
    };

    public WalReceiveCommand(CommonOptions common)
        : base("receive", "Receive WAL as the server writes it and archive it within seconds, until SIGTERM (for a service)", common)
    {
        _flush.Validators.Add(result =>
        {
            if (result.Peek(_flush) is < 1 or > MostFlushSeconds)
            {
                result.AddError($"--flush-seconds takes 1 to {MostFlushSeconds}");
            }
        });
        Options.Add(_flush);
        Options.Add(_slot);
        Options.Add(_dropSlot);
        Options.Add(_synchronous);
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup wal-archive receive --env-file /etc/shbackup/.env",
        "shbackup wal-archive receive --synchronous --flush-seconds 5",
        "shbackup wal-archive receive --drop-slot",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
    [
        ErrorKind.ToolMissing, ErrorKind.ChildFailed, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification, ErrorKind.Locked,
    ];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var server = DatabaseConfiguration.Read(settings);
        var wal = WalConfiguration.ReadForArchiving(settings);
        var repository = RepositoryConfiguration.Read(settings);
        var encryption = EncryptionConfiguration.Read(settings);
        var compression = RunConfiguration.ReadPageCompression(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var tools = cli.Tools(settings);
        var slot = Slot.Of(parse.GetValue(_slot) ?? Slot.DefaultName(settings.Text("BACKUP_CLUSTER")));
        settings.ThrowIfInvalid();

        if (encryption.Method == EncryptionMethod.None)
        {
            cli.Log.Warning("the archived WAL is not encrypted");
        }

        var (provider, recipients) = await cli.Providers(encryption).ForWritingAsync(cancel);
        var flush = TimeSpan.FromSeconds(parse.GetValue(_flush) ?? DefaultFlushSeconds);
        var receiver = new WalReceiver(
            RepositoryAccess.OpenWal(cli, wal),
            RepositoryAccess.Open(cli, repository)[0],
            new Seal(compression, provider, recipients),
            new WalReceiveOptions(server, wal.SpoolDirectory, slot, flush, parse.GetValue(_synchronous), jobs, wal.RequiredCopies),
            cli.Launcher,
            tools,
            new SystemdNotify(Environment.GetEnvironmentVariable, cli.Log),
            cli.Time,
            cli.Log);
        if (parse.GetValue(_dropSlot))
        {
            var wasThere = await receiver.DropSlotAsync(cancel);
            cli.Log.Information("replication slot {Slot:l} {What:l}", slot.Name, wasThere ? "is dropped" : "was not there");
            return ExitCodes.Success;
        }

        await receiver.RunAsync(cancel);
        return ExitCodes.Success;
    }
}
