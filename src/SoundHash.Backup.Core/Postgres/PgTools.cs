using System.Globalization;
using System.Text.RegularExpressions;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Postgres;

/// <summary>PostgreSQL's client programs of one version in one directory.</summary>
/// <param name="Directory">Absolute path.</param>
/// <param name="Major">Major version, e.g. 15.</param>
/// <param name="Version">Full version as the program tells it, e.g. "15.18".</param>
public sealed record PgTools(string Directory, int Major, string Version)
{
    /// <summary>The first version whose pg_restore begins with SET transaction_timeout, asked for or not (docs/adr/0001).</summary>
    public const int FirstWithTransactionTimeout = 17;

    /// <summary>What an older server says to that.</summary>
    public const string WhyTooNew = "it begins with SET transaction_timeout, which is unknown there";

    /// <summary>True when a server refuses the first statement of this pg_restore.</summary>
    public static bool IsTooNewToLoad(int major, int serverMajor) =>
        major >= FirstWithTransactionTimeout && serverMajor < FirstWithTransactionTimeout;

    /// <summary>The absolute path of one of the programs.</summary>
    /// <exception cref="BackupException">It is not installed in this directory.</exception>
    public string Path(string program)
    {
        var path = System.IO.Path.Combine(Directory, program);
        return ProgramPath.IsExecutable(path)
            ? path
            : throw new BackupException(
                ErrorKind.ToolMissing, $"{program} is missing in {Directory}", $"apt-get install postgresql-client-{Major}");
    }
}

/// <summary>Finds PostgreSQL's client programs, once: PG_BIN_DIR alone when set, else /usr/lib/postgresql/*/bin and PATH.</summary>
/// <param name="launcher">Asks them for their versions.</param>
/// <param name="log">Told of programs that can't say theirs.</param>
/// <param name="binDirectory">The directory to use alone, or null.</param>
/// <param name="versionedRoot">Where each version has a directory of its own.</param>
public sealed partial class PgToolFinder(
    ProcessLauncher launcher, ILogger log, string? binDirectory, string versionedRoot = "/usr/lib/postgresql")
{
    private const string Marker = "pg_dump";

    private List<PgTools>? _found;

    /// <summary>
    /// The tools to work on a server with: those of its own major version, else the next newer ones. A newer pg_dump
    /// writes archives that the server's own pg_restore can't read (docs/adr/0001).
    /// </summary>
    /// <exception cref="BackupException">None is new enough.</exception>
    public async Task<PgTools> ForServerAsync(int serverMajor, CancellationToken cancel)
    {
        var all = await FindAllAsync(cancel);
        return all.Where(t => t.Major >= serverMajor).MinBy(static t => t.Major) ?? throw TooOld(all, serverMajor, "the server is");
    }

    /// <summary>
    /// The tools to restore with: able to read what pg_dump of <paramref name="dumpMajor"/> wrote, and as close to the
    /// target server as that allows.
    /// </summary>
    /// <exception cref="BackupException">None is new enough.</exception>
    public async Task<PgTools> ForRestoreAsync(int dumpMajor, int serverMajor, CancellationToken cancel)
    {
        var needed = Math.Max(dumpMajor, serverMajor);
        var all = await FindAllAsync(cancel);
        return all.Where(t => t.Major >= needed).MinBy(static t => t.Major) ?? throw TooOld(all, needed, "the backup or the server is");
    }

    private async Task<List<PgTools>> FindAllAsync(CancellationToken cancel)
    {
        if (_found is not null)
        {
            return _found;
        }

        var found = new List<PgTools>();
        foreach (var program in Candidates().Select(static d => System.IO.Path.Combine(d, Marker)).Where(ProgramPath.IsExecutable))
        {
            if (VersionNumber().Match(await VersionAsync(program, cancel)) is { Success: true } match)
            {
                var major = int.Parse(match.Groups["major"].Value, CultureInfo.InvariantCulture);
                found.Add(new PgTools(System.IO.Path.GetDirectoryName(program)!, major, match.Value));
            }
        }

        return _found = found;
    }

    // What is broken in a directory that nobody named must not stop a run that other programs can do.
    private async Task<string> VersionAsync(string program, CancellationToken cancel)
    {
        try
        {
            return await launcher.ReadOutputAsync(new ChildCommand(program, ["--version"]), cancel);
        }
        catch (BackupException e) when (binDirectory is null && !cancel.IsCancellationRequested)
        {
            log.Warning("{Program} is left out, since it does not tell its version: {Message:l}", program, e.Message);
            return string.Empty;
        }
    }

    private IEnumerable<string> Candidates()
    {
        if (binDirectory is not null)
        {
            return [binDirectory];
        }

        var versioned = System.IO.Directory.Exists(versionedRoot)
            ? System.IO.Directory.EnumerateDirectories(versionedRoot).Select(static d => System.IO.Path.Combine(d, "bin"))
            : [];
        return versioned.Concat(ProgramPath.Directories).Distinct();
    }

    private BackupException TooOld(List<PgTools> found, int needed, string why)
    {
        var list = string.Join(", ", found.Select(static t => $"{t.Version} in {t.Directory}"));
        var have = found.Count == 0 ? "none found" : $"found {list}";
        return new BackupException(
            ErrorKind.ToolMissing,
            $"PostgreSQL client programs of version {needed} or newer are needed, since {why} version {needed} ({have})",
            binDirectory is null
                ? $"apt-get install postgresql-client-{needed}, or set PG_BIN_DIR to their directory"
                : $"set PG_BIN_DIR to a directory with version {needed}; it is {binDirectory} now");
    }

    [GeneratedRegex(@"(?<major>\d+)(?:\.\d+)*(?:beta\d+|rc\d+|devel)?", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex VersionNumber();
}
