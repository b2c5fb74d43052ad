using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>Started by `wal-archive fetch` in the background: brings the next segments into the spool while PostgreSQL replays.</summary>
internal sealed class WalPrefetchCommand : VerbCommand
{
    private readonly Argument<string> _after = new("AFTER") { Description = "The segment that was fetched last" };
    private readonly Argument<int> _bytes = new("BYTES") { Description = "The segment size" };

    private readonly StoreFrom _from = new();

    public WalPrefetchCommand(CommonOptions common)
        : base("prefetch", "Fetch the segments behind one into the spool (started by fetch)", common)
    {
        Hidden = true;
        Arguments.Add(_after);
        Arguments.Add(_bytes);
        _from.AddTo(this);
    }

    public override IReadOnlyList<string> Examples { get; } = ["shbackup wal-archive prefetch 000000010000000000000042 16777216"];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification];

    /// <summary>Starts it in the background, unless one is at work: that one is told what was asked for last.</summary>
    public static async Task StartAsync(
        CliSession cli, WalReading access, WalSpool spool, WalFileName after, long bytes, CancellationToken cancel)
    {
        try
        {
            _ = access.ReadJobs();
            spool.Make();
            if (!WalPrefetch.AnnounceAsked(spool, after))
            {
                return;
            }

            string[] options =
            [
                .. access.Settings.EnvFilePath is { } envFile ? (string[])["--env-file", envFile] : [],
                .. access.From is { } store ? (string[])["--from", store] : [],
            ];
            // The shell lets go of it: PostgreSQL waits for the end of all that holds the command's output.
            const string Detached = "\"$0\" \"$@\" </dev/null >/dev/null 2>&1 &";
            string[] verb = ["wal-archive", "prefetch", after.Name, bytes.ToString(CultureInfo.InvariantCulture)];
            var command = new ChildCommand("/bin/sh", ["-c", Detached, Environment.ProcessPath!, .. verb, .. options]);
            _ = await cli.Launcher.ReadOutputAsync(command, cancel);
        }
        catch (Exception e) when (e is BackupException or IOException or UnauthorizedAccessException)
        {
            // What was asked for is there; without prefetching the next one only takes longer.
            cli.Log.Warning("segments can't be fetched ahead: {Message:l}", e.Message);
        }
    }

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var access = WalReading.Read(cli, _from.Name(parse));
        var data = DataDirectory.Open(Directory.GetCurrentDirectory());
        var archive = await access.ArchiveAsync(data, cancel);
        var fetch = new WalFetch(access.Stores.Select(s => new SoundHash.Backup.Repository.Archive.WalArchive(s, archive.SystemIdentifier)).ToList(), access.Providers, cli.Time, cli.Log);
        var prefetch = new WalPrefetch(fetch, WalSpool.Of(access.SpoolDirectory, data.SystemIdentifier, data.Path), access.ReadJobs(), cli.Time);
        if (WalSegment.TryParse(parse.GetRequiredValue(_after), parse.GetRequiredValue(_bytes), out var asked))
        {
            await prefetch.RunAsync(asked, data.Path, cancel);
        }

        return ExitCodes.Success;
    }
}
