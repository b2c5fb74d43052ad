using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive: the write-ahead log, kept for recovery to any moment.</summary>
internal sealed class WalArchiveCommand : Command
{
    /// <summary>Command lines that the help shows, one for each thing that people come for.</summary>
    public static IReadOnlyList<string> Examples { get; } =
    [
        "shbackup wal-archive generate-config --apply",
        "shbackup wal-archive receive --env-file /etc/shbackup/.env",
        "shbackup wal-archive status",
        "shbackup wal-archive verify",
        "shbackup wal-archive cleanup --retention-days 14",
    ];

    public WalArchiveCommand(CommonOptions common)
        : base("wal-archive", "Archive the write-ahead log, and bring it back")
    {
        Subcommands.Add(new WalPushCommand(common));
        Subcommands.Add(new WalFetchCommand(common));
        Subcommands.Add(new WalPrefetchCommand(common));
        Subcommands.Add(new WalReceiveCommand(common));
        Subcommands.Add(new WalGenerateConfigCommand(common));
        Subcommands.Add(new WalListCommand(common));
        Subcommands.Add(new WalStatusCommand(common));
        Subcommands.Add(new WalVerifyCommand(common));
        Subcommands.Add(new WalCleanupCommand(common));
    }
}
