using System.Buffers.Binary;
using System.Globalization;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>Copies the files of a data directory of this machine, several volumes at once.</summary>
/// <param name="session">Holds the server in backup mode, and does nothing else meanwhile.</param>
/// <param name="facts">The server.</param>
/// <param name="directory">Its data directory, without symbolic links.</param>
/// <param name="jobs">Volumes at once.</param>
/// <param name="time">The clock.</param>
/// <param name="meter">Counts.</param>
/// <param name="expected">Hears how many bytes there are.</param>
/// <param name="log">For what happens in between.</param>
internal sealed class LocalCopy(
    Session session, ClusterFacts facts, string directory, int jobs, TimeProvider time, TransferMeter meter, Action<long> expected, ILogger log)
    : IClusterCopy
{
    private const int ControlFileTries = 200;
    private static readonly TimeSpan BeforeNextTry = TimeSpan.FromMilliseconds(10);

    public int Streams => jobs;

    public async Task<CopiedCluster> CopyAsync(SetWriter set, CancellationToken cancel)
    {
        var outside = await new OutsideFiles(session, facts, log).ReadAsync(directory, cancel);
        var names = await TablespaceNamesAsync(cancel);
        var mode = await BackupMode.StartAsync(session, set.Id, log, cancel);
        await set.SayWalFromAsync(mode.Start.ToString(), cancel);
        if (await ServersDirectory.DoubtAsync(session, directory, mode.Start, time, cancel) is { } doubt)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"{directory} on this machine is a copy of the data directory of {session.Settings.Server}, and not what that server writes: {doubt}",
                "run this on the server's own machine, or as a user who can't read that copy, to take the files through pg_basebackup");
        }

        var listing = new DataScan(directory, await TablespaceFolderAsync(cancel), names, log).List();
        expected(listing.Files.Sum(static f => f.Size));
        var volumes = await WriteAsync(set, mode, listing.Files, cancel);
        var control = await ReadControlFileAsync(cancel);
        var end = await mode.StopAsync(cancel);
        return new CopiedCluster
        {
            Volumes = volumes,
            Directories = listing.Directories,
            Tablespaces = listing.Tablespaces,
            ControlFile = control,
            OutsideFiles = outside,
            End = end,
            Damaged = WrongPage.Damaged(volumes.SelectMany(static v => v.Wrong), end),
        };
    }

    public async Task<string?> HashWalAsync(WalFileName name, CancellationToken cancel)
    {
        var path = Path.Combine(directory, "pg_wal", name.Name);
        try
        {
            return File.Exists(path) ? (await WalSource.ReadAsync(name, path, cancel)).Sha256 : null;
        }
        catch (BackupException) when (!File.Exists(path))
        {
            return null;
        }
    }

    private async Task<IReadOnlyList<StoredVolume>> WriteAsync(
        SetWriter set, BackupMode mode, IReadOnlyList<DataFile> files, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var done = new CancellationTokenSource();
        var pages = facts.PageChecksums ? new PageRules(facts.BlockBytes, facts.SegmentBlocks) : null;
        var writer = new VolumeWriter(set, pages, meter, time, log);
        var plan = VolumePlan.Make(files, jobs);
        var volumes = new StoredVolume[plan.Count];
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = stop.Token };
        var work = Parallel.ForAsync(
            0, plan.Count, parallel, async (number, token) => volumes[number] = await writer.WriteAsync(number, plan[number], token));
        var watching = mode.WatchAsync(time, done.Token);
        var refreshing = IntentRefresh.RunAsync(set, time, done.Token);
        await new FirstFailure(stop, done).EndsAllAsync([work], [watching, refreshing]);
        return volumes;
    }

    // The server writes it in place.
    private async Task<byte[]> ReadControlFileAsync(CancellationToken cancel)
    {
        var path = Path.Combine(directory, ControlFile.RelativePath);
        for (var attempt = 1; ; attempt++)
        {
            var bytes = ReadAll(path);
            if (ControlFile.IsWhole(bytes))
            {
                return bytes;
            }

            if (attempt == ControlFileTries)
            {
                throw new BackupException(
                    ErrorKind.Verification, $"{path} has a wrong checksum, however often it is read", "see pg_controldata and the server's log");
            }

            await Task.Delay(BeforeNextTry, time, cancel);
        }
    }

    private async Task<IReadOnlyDictionary<uint, string>> TablespaceNamesAsync(CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            "SELECT oid::bigint, spcname::text FROM pg_tablespace", static r => (Oid: (uint)r.GetInt64(0), Name: r.GetString(1)), cancel);
        return rows.ToDictionary(static r => r.Oid, static r => r.Name);
    }

    // TABLESPACE_VERSION_DIRECTORY; catalog_version_no is in the same place of every pg_control.
    private async Task<string> TablespaceFolderAsync(CancellationToken cancel)
    {
        var control = await ReadControlFileAsync(cancel);
        return string.Create(
            CultureInfo.InvariantCulture, $"PG_{session.ServerMajor}_{BinaryPrimitives.ReadUInt32LittleEndian(control.AsSpan(12))}");
    }

    private static byte[] ReadAll(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(ErrorKind.Failed, $"can't read {path}: {e.Message}", "run this as the user that PostgreSQL runs as", e);
        }
    }
}
