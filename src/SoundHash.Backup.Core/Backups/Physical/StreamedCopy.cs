using System.Formats.Tar;
using System.Globalization;
using System.Text.RegularExpressions;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// Copies a cluster's files from elsewhere, out of the one stream of pg_basebackup: into the same volumes, one after the other.
/// The server checks the pages there, and reads a wrong one again; here they are checked to know their numbers.
/// </summary>
internal sealed partial class StreamedCopy(
    Session session,
    ClusterFacts facts,
    PgTools tools,
    ProcessLauncher launcher,
    TimeSpan archiveTimeout,
    TimeProvider time,
    TransferMeter meter,
    ILogger log) : IClusterCopy
{
    private const string Label = "backup_label", ServersManifest = "backup_manifest", Map = "tablespace_map";
    private static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(10);

    /// <summary>Refuses what pg_basebackup could not do, with what to do instead.</summary>
    /// <exception cref="BackupException">It could not.</exception>
    public static async Task EnsurePossibleAsync(Session session, CancellationToken cancel)
    {
        var server = session.Settings.Server;
        var spaces = await session.QueryAsync(
            "SELECT spcname::text FROM pg_tablespace WHERE pg_tablespace_location(oid) <> '' ORDER BY 1", static r => r.GetString(0), cancel);
        if (spaces.Count > 0)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"{server} has tablespaces ({string.Join(", ", spaces)}), which can't be streamed from elsewhere",
                "run shbackup on the server's own machine, as the user that PostgreSQL runs as");
        }

        if (await session.TextAsync(
            "SELECT 'yes' FROM pg_roles WHERE rolname = current_user AND (rolreplication OR rolsuper)", cancel) is null)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"role \"{session.Settings.User}\" may not stream a base backup from {server}: it has no REPLICATION",
                $"ALTER ROLE {SqlText.Identifier(session.Settings.User)} REPLICATION, and a line for \"replication\" in pg_hba.conf;"
                + " or run shbackup on the server's own machine, as the user that PostgreSQL runs as");
        }
    }

    public int Streams => 1;

    public async Task<CopiedCluster> CopyAsync(SetWriter set, CancellationToken cancel)
    {
        var outside = await new OutsideFiles(session, facts, log).ReadThroughServerAsync(cancel);
        string[] arguments =
        [
            "--pgdata=-", "--format=tar", "--wal-method=none", "--checkpoint=fast", "--manifest-checksums=CRC32C", "--no-password",
            $"--label={set.Id}",
        ];
        await using var child = launcher.Start(
            new ChildCommand(tools.Path("pg_basebackup"), arguments) { Environment = session.Settings.Environment });
        child.CloseInput();
        return await FinishAsync(child, await GuardedAsync(set, new ChildOutputStage(child), outside, cancel), cancel);
    }

    public async Task<string?> HashWalAsync(WalFileName name, CancellationToken cancel)
    {
        try
        {
            return await session.TextAsync(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"SELECT encode(sha256(pg_read_binary_file('pg_wal/' || $1, 0, {facts.WalSegmentBytes}, true)), 'hex')"),
                cancel,
                name.Name);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            // The role may not. Then only PostgreSQL's archiver speaks for the archive: its command refuses what differs.
            log.Debug("{Name} can't be compared with the server's own: {Message}", name.Name, e.Message);
            return null;
        }
    }

    private async Task<CopiedCluster> GuardedAsync(
        SetWriter set, ChildOutputStage stream, IReadOnlyList<(string Path, byte[] Bytes)> outside, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var done = new CancellationTokenSource();
        var unpacking = UnpackAsync(set, stream, outside, stop.Token);
        var watching = WatchAsync(stream, done.Token);
        var refreshing = IntentRefresh.RunAsync(set, time, done.Token);
        await new FirstFailure(stop, done).EndsAllAsync([unpacking], [watching, refreshing]);
        return await unpacking;
    }

    private async Task<CopiedCluster> UnpackAsync(
        SetWriter set, Stream stream, IReadOnlyList<(string Path, byte[] Bytes)> outside, CancellationToken cancel)
    {
        await using var reader = new TarReader(stream, leaveOpen: true);
        var small = new Dictionary<string, byte[]>();
        var directories = new List<string>();
        var pages = facts.PageChecksums ? new PageRules(facts.BlockBytes, facts.SegmentBlocks) : null;
        await using var volumes = new StreamedVolumes(set, pages, meter);
        while (await NextAsync(reader, cancel) is { } entry)
        {
            var path = entry.Name.TrimEnd('/');
            path = path.StartsWith("./", StringComparison.Ordinal) ? path[2..] : path;
            if (path is Label or ServersManifest or Map or ControlFile.RelativePath)
            {
                small[path] = await ReadAsync(entry, cancel);
            }
            else if (entry.EntryType == TarEntryType.Directory)
            {
                directories.Add(path);
            }
            else if (entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile)
            {
                EnsureBeforeControlFile(path, small);
                await volumes.AddAsync(path, entry, cancel);
            }
        }

        await volumes.CloseAsync(cancel);
        await StreamCopy.DrainAsync(stream, null, cancel);
        var files = volumes.Done.SelectMany(static v => v.Files).ToList();
        foreach (var needed in new[] { Label, ServersManifest, ControlFile.RelativePath }.Where(n => !small.ContainsKey(n)))
        {
            throw new BackupException(ErrorKind.ChildFailed, $"pg_basebackup sent no {needed}", "see its messages above, and the server's log");
        }

        return new CopiedCluster
        {
            Volumes = volumes.Done,
            Directories = directories.Where(static d => d.Length > 0 && d != ".").ToList(),
            Tablespaces = [],
            ControlFile = small[ControlFile.RelativePath],
            OutsideFiles = outside,
            End = ServerManifest.Check(
                small[ServersManifest], files, small.Where(static s => s.Key != ServersManifest).ToDictionary()),
            Damaged = [],
        };
    }

    // Replay begins where pg_control says, so that no file may be older than what it was read after.
    private static void EnsureBeforeControlFile(string path, Dictionary<string, byte[]> small)
    {
        if (small.ContainsKey(ControlFile.RelativePath))
        {
            throw new BackupException(
                ErrorKind.ChildFailed, $"the server sent {path} after {ControlFile.RelativePath}, which has to be the last", "see the server's log");
        }
    }

    // pg_basebackup fails at its very end when the server found damaged pages; what it sent before that is whole. The server reads a
    // wrong page again, which can't be done here, and passes over all whose last change is after the beginning, garbage too.
    private static async Task<CopiedCluster> FinishAsync(ChildProcess child, CopiedCluster copied, CancellationToken cancel)
    {
        try
        {
            await child.EnsureSuccessAsync(cancel);
            return copied with { Damaged = Damaged(copied, []) };
        }
        catch (ChildProcessException e) when (e.StderrTail.Contains("checksum error occurred", StringComparison.Ordinal))
        {
            var warned = DamagedFile().Matches(e.StderrTail).Select(static m => m.Groups["path"].Value).ToHashSet();
            var damaged = Damaged(copied, warned);
            return damaged.Any(p => warned.Contains(p.Path)) ? copied with { Damaged = damaged } : throw new BackupException(
                ErrorKind.Verification, $"the server found damaged pages, which are not what it sent: {e.Message}", "see the server's log", e);
        }
    }

    private static IReadOnlyList<DamagedPage> Damaged(CopiedCluster copied, HashSet<string> warned) => WrongPage.Damaged(
        copied.Volumes.SelectMany(static v => v.Wrong).Where(p => warned.Contains(p.Path) || p.Lsn > copied.End.Stop), copied.End);

    // At the end the server waits until its WAL is archived, and says nothing meanwhile.
    private async Task WatchAsync(ChildOutputStage stream, CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(ReportInterval, time);
        var (seen, since) = (0L, time.GetTimestamp());
        while (await timer.WaitForNextTickAsync(cancel))
        {
            if (stream.Bytes != seen || seen == 0)
            {
                (seen, since) = (stream.Bytes, time.GetTimestamp());
                continue;
            }

            var state = await ArchiveWait.StateAsync(session, CancellationToken.None);
            log.Information("waiting for the server, which waits until its WAL is archived; {State:l}", state);
            if (time.GetElapsedTime(since) >= archiveTimeout)
            {
                throw new BackupException(
                    ErrorKind.ChildFailed,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"the server sent nothing for {archiveTimeout.TotalSeconds:0} s; it waits until its WAL is archived ({state})"),
                    "see the server's log for what archive_command says (shbackup wal-archive generate-config)");
            }
        }
    }

    private static async Task<TarEntry?> NextAsync(TarReader reader, CancellationToken cancel)
    {
        try
        {
            return await reader.GetNextEntryAsync(copyData: false, cancel);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new BackupException(ErrorKind.ChildFailed, $"what pg_basebackup sent is cut or damaged: {e.Message}", "see the server's log", e);
        }
    }

    private static async Task<byte[]> ReadAsync(TarEntry entry, CancellationToken cancel)
    {
        using var bytes = new MemoryStream();
        if (entry.DataStream is { } data)
        {
            await data.CopyToAsync(bytes, cancel);
        }

        return bytes.ToArray();
    }

    [GeneratedRegex(
        @"checksum (verification failed|verification failures) in file ""(\./)?(?<path>[^""]+)""",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex DamagedFile();
}
