using System.CommandLine;
using Serilog.Events;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive fetch NAME PATH: for restore_command.</summary>
internal sealed class WalFetchCommand : VerbCommand
{
    private readonly Argument<string> _name = new("NAME") { Description = "The file, as %f names it" };
    private readonly Argument<string> _path = new("PATH") { Description = "Where to, as %p names it" };

    private readonly StoreFrom _from = new();

    public WalFetchCommand(CommonOptions common)
        : base("fetch", "Bring a file of WAL back, and fetch those behind it ahead (for restore_command)", common)
    {
        Arguments.Add(_name);
        Arguments.Add(_path);
        _from.AddTo(this);
    }

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup wal-archive fetch 000000010000000000000042 pg_wal/RECOVERYXLOG"];

    public override IReadOnlyList<ErrorKind> Failures { get; } =
        [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption, ErrorKind.Verification];

    public override IEnumerable<ExitCode> Exits => FetchExitCode.All;

    public override int ExitWith(int code) => FetchExitCode.For(code, Directory.GetCurrentDirectory());

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var access = WalReading.Read(cli, _from.Name(parse));
        var name = WalFileName.Parse(parse.GetRequiredValue(_name));
        var path = parse.GetRequiredValue(_path);
        var data = DataDirectory.OfWalFile(path);
        var spool = data is null ? null : WalSpool.Of(access.SpoolDirectory, data.SystemIdentifier, data.Path);
        if (spool is not null && TryTakePrefetched(spool, name, path))
        {
            return ExitCodes.Success;
        }

        var archive = await access.ArchiveAsync(data, cancel);
        var answer = new WalFetchAnswer(
            new WalFetch(access.Stores.Select(s => new SoundHash.Backup.Repository.Archive.WalArchive(s, archive.SystemIdentifier)).ToList(), access.Providers, cli.Time, cli.Log),
            new WalFetchPieces(access.Store, archive, access.Providers, cli.Log),
            new WalFetchGap(archive, access.Providers, cli.Log),
            cli.Time,
            cli.Log);
        var fetched = await answer.RunAsync(name, data, path, cancel);
        if (fetched == WalFetched.Absent)
        {
            // Only a person who asks by hand needs the words.
            cli.Log.Write(data is null ? LogEventLevel.Information : LogEventLevel.Debug, "{Name:l} is not in the archive", name.Name);
            return FetchExitCode.NotThere;
        }

        if (spool is not null && name.Kind == WalFileKind.Segment && fetched == WalFetched.Whole)
        {
            var bytes = new FileInfo(path).Length;
            await WalPrefetchCommand.StartAsync(cli, access, spool, name, bytes, cancel);
        }

        return ExitCodes.Success;
    }

    // It may have come between the shell's own look and ours.
    private static bool TryTakePrefetched(WalSpool spool, WalFileName name, string path)
    {
        try
        {
            File.Move(Path.Combine(spool.FetchedFolder, name.Name), path, overwrite: true);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}

/// <summary>What PostgreSQL is to understand (src/backend/access/transam/xlogarchive.c, RestoreArchivedFile).</summary>
internal static class FetchExitCode
{
    /// <summary>Ours alone, no process ends with it: a proven absence, which <see cref="For"/> turns into 1.</summary>
    public const int NotThere = 250;

    private const int EndOfLog = 1;
    private const int StopRecovery = 200;

    /// <summary>What PostgreSQL sees, for the help.</summary>
    public static IReadOnlyList<ExitCode> All { get; } =
    [
        ExitCodes.All.Single(static e => e.Code == ExitCodes.Success),
        new(null, EndOfLog, "the archive surely has no such file: the end of the log"),
        new(null, StopRecovery, "anything else, which must not pass for the end of the log; for a standby, the error's own code instead"),
    ];

    /// <summary>
    /// True when a command line that can't be understood seems to be meant for a restore_command: it says fetch, or has the name of
    /// a WAL file, beside a verb or an option that is misspelt.
    /// </summary>
    public static bool IsMeantBy(IReadOnlyList<string> words) =>
        words.Contains("fetch") || words.Any(static w => WalFileName.TryParse(w) is not null);

    /// <summary>
    /// The code for PostgreSQL. Up to 125 it takes any for "no such file" and ends recovery there, so that only a proven absence
    /// may say that; above, it stops, which a standby must not: it is asked again.
    /// </summary>
    /// <param name="code">Ours.</param>
    /// <param name="directory">The data directory, in which PostgreSQL runs its commands.</param>
    public static int For(int code, string directory) => code switch
    {
        ExitCodes.Success => code,
        NotThere => EndOfLog,
        _ when File.Exists(Path.Combine(directory, "standby.signal")) => code <= 125 ? code : EndOfLog,
        _ => StopRecovery,
    };
}
