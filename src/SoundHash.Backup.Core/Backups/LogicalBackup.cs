using System.Text.Json;
using Serilog;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.FanOut;

namespace SoundHash.Backup.Backups;

/// <summary>What one run of backups is to do, the same for each of its databases.</summary>
/// <param name="RunId">Shared by the sets of the run.</param>
/// <param name="Name">The name that the person gave, or null for a name by database.</param>
/// <param name="Tier">The tier that the person gave, outright or by a name.</param>
/// <param name="Jobs">Streams at once.</param>
/// <param name="Fingerprint">True hashes every table's rows.</param>
/// <param name="Seal">How objects are compressed and encrypted.</param>
/// <param name="Retention">How long each store keeps it.</param>
/// <param name="ToolVersion">The version of shbackup.</param>
public sealed record BackupOptions(
    string RunId, string? Name, Tier Tier, int Jobs, bool Fingerprint, Seal Seal, StoreRetention Retention, string ToolVersion);

/// <summary>Backs up one database into one set.</summary>
internal sealed class LogicalBackup(
    StoreGroup stores, ProcessLauncher launcher, BackupOptions options, TimeProvider time, TransferMeter meter, ILogger log)
{
    private static readonly TimeSpan MostForCause = TimeSpan.FromSeconds(30);

    // What pg_dump hears of a snapshot whose session is gone (src/backend/utils/time/snapmgr.c, storage/ipc/procarray.c).
    private static readonly string[] LostSnapshot = ["could not import the requested snapshot", "invalid snapshot identifier", "snapshot \""];

    /// <summary>Runs it; when it returns, the set exists and is whole, in one store at least.</summary>
    public async Task<WrittenSet> RunAsync(
        Session session, PgTools tools, RunGlobals runGlobals, string? systemIdentifier, RunLock held, CancellationToken cancel)
    {
        var settings = session.Settings;
        await using var snapshot = await SnapshotSession.OpenAsync(session, log, cancel);
        // The snapshot's session holds and counts; this one asks for what is of no snapshot.
        await using var side = await Session.OpenAsync(settings, cancel);
        await using var shared = await SharedCatalogs.OpenAsync(side, log, cancel);
        var described = await DescribeAsync(session, shared, cancel);
        // After the snapshot: it may name a role that was made a moment before it.
        var globals = await runGlobals.ForAsync(described, side, tools, cancel);
        var name = options.Name ?? SetId.DefaultName(settings.Database);
        var plan = DumpPlan.Make(snapshot, described.Database.Encoding, options.Jobs);
        var seal = ShareThreads(options.Seal, Math.Min(plan.Count, options.Jobs));
        await using var set = await SetWriter.BeginAsync(
            stores, name, held, seal, new SetKeeping(SetKind.Logical, options.Tier, snapshot.Started, options.Retention), time, log, cancel);
        log.Information("backing up database \"{Database}\" as set {Id}", settings.Database, set.Id);
        var warnings = new ToolWarnings(log);
        warnings.AddLogged(globals.Warnings);
        foreach (var lacking in globals.Lacking(described))
        {
            warnings.Add($"\"{lacking}\", which the set names, is not in its globals: make that role or tablespace before a restore");
        }

        foreach (var relation in snapshot.Relations.Where(static r => r.IsEmptyHere))
        {
            warnings.Add($"the rows of {relation.Sql} are not in the set: it is unlogged, and a standby has none of them");
        }

        var (objects, counted) = await StreamAsync(snapshot, set, plan, tools, settings, warnings, cancel);
        var contents = described with
        {
            Tables = WithObjects(counted, plan, objects),
            RolePasswords = globals.WithPasswords,
            Warnings = warnings.Lines,
        };
        var json = JsonSerializer.SerializeToUtf8Bytes(contents, RepositoryJson.Default.Contents);
        var all = new List<ObjectRecord>(plan.Select(s => objects[s.Name]))
        {
            await WriteAsync(set, "globals.sql", ObjectRole.Globals, globals.Sql, cancel),
            await WriteAsync(set, "contents.json", ObjectRole.Contents, json, cancel),
        };

        var databaseBytes = await DatabaseInspector.ReadSizeAsync(side, cancel);
        var stopped = await snapshot.FinishAsync(cancel);
        RepositoryGuard.EnsureClockMovedOn(snapshot.Started, stopped);
        var manifest = new Manifest
        {
            FormatVersion = Manifest.CurrentFormat,
            Id = set.Id,
            RunId = options.RunId,
            Name = name,
            Kind = SetKind.Logical,
            Database = settings.Database,
            Tier = options.Tier,
            Started = snapshot.Started,
            Stopped = stopped,
            Expires = options.Retention.LastExpiryOf(stores.Destinations.Select(static d => d.Store.Name), options.Tier, snapshot.Started),
            ToolVersion = options.ToolVersion,
            ServerVersion = session.ServerVersion,
            DumpVersion = tools.Version,
            SystemIdentifier = systemIdentifier,
            DatabaseBytes = databaseBytes,
            Objects = all,
        };
        return await set.CommitAsync(manifest, cancel);
    }

    // Through the session that holds the snapshot, so that the set names what pg_dump sees, and nothing made since.
    private static async Task<Contents> DescribeAsync(Session session, SharedCatalogs shared, CancellationToken cancel)
    {
        var inspector = new DatabaseInspector(session, shared);
        return new Contents
        {
            Database = await inspector.ReadAsync(cancel),
            Tables = [],
            Roles = await NeededRoles.ReadAsync(session, shared, cancel),
            Tablespaces = await inspector.ReadTablespacesAsync(cancel),
            Extensions = await inspector.ReadExtensionsAsync(cancel),
            RolePasswords = false,
        };
    }

    // All streams, the count and the watch over the snapshot run side by side; the first failure ends the others.
    private async Task<(IReadOnlyDictionary<string, ObjectRecord> Objects, IReadOnlyList<TableRecord> Counted)> StreamAsync(
        SnapshotSession snapshot,
        SetWriter set,
        IReadOnlyList<DumpStream> plan,
        PgTools tools,
        ConnectionSettings settings,
        ToolWarnings warnings,
        CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var done = new CancellationTokenSource();
        var objects = new Dictionary<string, ObjectRecord>();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.Jobs, CancellationToken = stop.Token };
        DumpStream[] ordered = [.. plan.OrderByDescending(static s => s.StartsFirst).ThenByDescending(static s => s.EstimatedBytes)];
        await using var dumps = new DumpQueue(ordered, s => Start(snapshot, s, tools, settings));
        var counting = snapshot.CountAsync(options.Fingerprint, log, stop.Token);
        var streams = Parallel.ForEachAsync(ordered, parallel, async (stream, token) =>
        {
            await using var dump = dumps.Take(stream);
            var record = await CausedAsync(StoreAsync(dump, set, stream, warnings, token), counting, token);
            lock (objects)
            {
                objects[stream.Name] = record;
            }
        });
        var watching = snapshot.WatchAsync(time, done.Token);
        var refreshing = IntentRefresh.RunAsync(set, time, done.Token);

        await new FirstFailure(stop, done).EndsAllAsync([streams, counting], [watching, refreshing]);
        return (objects, await counting);
    }

    // A snapshot ends with its session's transaction: what failed there is the cause, also where pg_dump is heard first.
    private async Task<ObjectRecord> CausedAsync(Task<ObjectRecord> dump, Task counting, CancellationToken cancel)
    {
        try
        {
            return await dump;
        }
        catch (ChildProcessException e) when (LostSnapshot.Any(words => e.StderrTail.Contains(words, StringComparison.Ordinal)))
        {
            await counting.WaitAsync(MostForCause, time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (counting.IsFaulted)
            {
                await counting;
            }

            throw;
        }
    }

    // Streams that run at once share the compression threads that one alone would have.
    private static Seal ShareThreads(Seal seal, int streams) =>
        seal with { Compression = seal.Compression with { Workers = Math.Max(1, seal.Compression.Workers / streams) } };

    private ChildProcess Start(SnapshotSession snapshot, DumpStream stream, PgTools tools, ConnectionSettings settings)
    {
        string[] arguments =
        [
            "--format=custom", "--compress=0", "--no-password",
            $"--snapshot={snapshot.Snapshot}",
            $"--lock-wait-timeout={SnapshotSession.DumpLockTimeoutMilliseconds}",
            .. stream.Arguments,
        ];
        var dump = launcher.Start(new ChildCommand(tools.Path("pg_dump"), arguments) { Environment = settings.Environment });
        dump.CloseInput();
        return dump;
    }

    private async Task<ObjectRecord> StoreAsync(
        ChildProcess dump, SetWriter set, DumpStream stream, ToolWarnings warnings, CancellationToken cancel)
    {
        await using var target = await set.CreateAsync(stream.Name, stream.Role, cancel);
        try
        {
            await StreamCopy.FromChildAsync(dump, target, meter, cancel);
            warnings.Add(dump);
        }
        catch (ChildProcessException e) when (e.StderrTail.Contains("LOCK TABLE", StringComparison.Ordinal))
        {
            // We hold the table, so only somebody who waits for an exclusive lock can stand before pg_dump in the queue.
            throw new ChildProcessException(
                e.Tool,
                e.ExitCode,
                e.StderrTail,
                "another session waits to change or truncate that table, and pg_dump had to queue behind it:"
                + " run the backup again when it is done");
        }
        catch (ChildProcessException e) when (e.StderrTail.Contains("permission denied for large object", StringComparison.Ordinal))
        {
            throw new ChildProcessException(
                e.Tool,
                e.ExitCode,
                e.StderrTail,
                "pg_read_all_data covers no large objects: back up as a superuser, or as their owner (ALTER LARGE OBJECT oid OWNER TO role),"
                + " or GRANT SELECT ON LARGE OBJECT oid TO the role for each, or ALTER DATABASE name SET lo_compat_privileges = on");
        }

        return target.Record;
    }

    private static async Task<ObjectRecord> WriteAsync(
        SetWriter set, string name, ObjectRole role, ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        await using var target = await set.CreateAsync(name, role, cancel);
        await target.WriteAsync(bytes, cancel);
        await target.CompleteAsync(cancel);
        return target.Record;
    }

    private static List<TableRecord> WithObjects(
        IReadOnlyList<TableRecord> counted, IReadOnlyList<DumpStream> plan, IReadOnlyDictionary<string, ObjectRecord> objects)
    {
        var own = plan.Where(static s => s.Table is not null)
            .ToDictionary(static s => (s.Table!.Schema, s.Table.Name), s => objects[s.Name].Key);
        return counted.Select(t => t with { Object = own.GetValueOrDefault((t.Schema, t.Name)) }).ToList();
    }
}
