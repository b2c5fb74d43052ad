using System.Formats.Tar;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Serilog;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.FanOut;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>Backs up a cluster into one set.</summary>
/// <param name="stores">Where the set goes.</param>
/// <param name="session">The server; in backup mode it does nothing else.</param>
/// <param name="facts">The server.</param>
/// <param name="copy">The way to its files.</param>
/// <param name="wait">Waits for its WAL.</param>
/// <param name="options">What the person asked for.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For what happens in between.</param>
internal sealed class PhysicalBackup(
    StoreGroup stores,
    Session session,
    ClusterFacts facts,
    IClusterCopy copy,
    ArchiveWait wait,
    BackupOptions options,
    TimeProvider time,
    ILogger log)
{
    // Those of PostgreSQL's own files.
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Runs it; when it returns, the set exists and is whole, in one store at least, and so is the WAL that it needs.</summary>
    public async Task<WrittenSet> RunAsync(string systemIdentifier, RunLock held, CancellationToken cancel)
    {
        var started = await ServerFacts.ClockAsync(session, cancel);
        var startXid = await ClusterFacts.NextXidAsync(session, cancel);
        var keeping = new SetKeeping(SetKind.Physical, options.Tier, started, options.Retention);
        await using var set = await SetWriter.BeginAsync(stores, options.Name!, held, options.Seal, keeping, time, log, cancel);
        log.Information("backing up the cluster of {Server} as set {Id}", session.Settings.Server, set.Id);
        var copied = await copy.CopyAsync(set, cancel);
        ControlFile.EnsureIs(
            copied.ControlFile, ulong.Parse(systemIdentifier, CultureInfo.InvariantCulture), session.Settings.Server);
        var stopped = await ServerFacts.ClockAsync(session, cancel);
        var physical = new PhysicalFacts
        {
            Timeline = copied.End.Timeline,
            StartLsn = copied.End.Start.ToString(),
            StopLsn = copied.End.Stop.ToString(),
            WalSegmentBytes = facts.WalSegmentBytes,
            StartNextXid = startXid,
            StopNextXid = await ClusterFacts.NextXidSurelyAsync(session, cancel),
            PageChecksums = facts.PageChecksums,
            DamagedPages = copied.Damaged,
            Files = copied.Volumes.Sum(static v => v.Files.Count) + 1,
        };
        var (final, control) = await WriteFinalAsync(set, copied, stopped, systemIdentifier, cancel);
        var contents = await WriteContentsAsync(set, copied, control with { Object = final.Key }, cancel);
        await wait.RunAsync(physical, copy.HashWalAsync, cancel);
        var manifest = new Manifest
        {
            FormatVersion = Manifest.CurrentFormat,
            Id = set.Id,
            RunId = options.RunId,
            Name = options.Name!,
            Kind = SetKind.Physical,
            Database = string.Empty,
            Tier = options.Tier,
            Started = started,
            Stopped = stopped,
            Expires = options.Retention.LastExpiryOf(stores.Destinations.Select(static d => d.Store.Name), options.Tier, started),
            ToolVersion = options.ToolVersion,
            ServerVersion = session.ServerVersion,
            DumpVersion = string.Empty,
            SystemIdentifier = systemIdentifier,
            DatabaseBytes = copied.Volumes.Sum(static v => v.Files.Sum(static f => f.Size)),
            Physical = physical,
            Objects = [.. copied.Volumes.Select(static v => v.Object), final, contents],
        };
        var written = await set.CommitAsync(manifest, cancel);
        written = written.Without(await wait.LackingAsync(physical, CancellationToken.None));
        var whole = written.Copies.Where(static c => c.State == CopyState.Done).Select(static c => c.Store).ToList();
        return written.Unlocked(await wait.LockAsync(physical, keeping, whole, CancellationToken.None));
    }

    private async Task<(ObjectRecord Object, StoredFile Control)> WriteFinalAsync(
        SetWriter set, CopiedCluster copied, DateTimeOffset now, string systemIdentifier, CancellationToken cancel)
    {
        var label = Encoding.UTF8.GetBytes(copied.End.Label);
        var control = PgManifest.Describe(ControlFile.RelativePath, copied.ControlFile, now);
        var files = copied.Volumes.SelectMany(static v => v.Files).Append(control).Prepend(PgManifest.Describe("backup_label", label, now));
        using var manifest = PgManifest.Make(files, copied.End, session.ServerMajor, systemIdentifier);
        await using var target = await set.CreateAsync("final.tar", ObjectRole.Final, cancel);
        var tar = new TarWriter(target, TarEntryFormat.Pax, leaveOpen: true);
        await AddBytesAsync("backup_label", label);
        await AddAsync("backup_manifest", manifest);
        foreach (var (path, bytes) in copied.OutsideFiles)
        {
            await AddBytesAsync($"outside/{path.TrimStart('/')}", bytes);
        }

        await AddBytesAsync(ControlFile.RelativePath, copied.ControlFile);
        // Not in a finally: it writes the end of the archive.
        await tar.DisposeAsync();
        await target.CompleteAsync(cancel);
        return (target.Record, control);

        async Task AddBytesAsync(string path, byte[] bytes)
        {
            using var content = new MemoryStream(bytes);
            await AddAsync(path, content);
        }

        Task AddAsync(string path, MemoryStream content) => tar.WriteEntryAsync(VolumeWriter.EntryOf(path, OwnerOnly, now, content), cancel);
    }

    private async Task<ObjectRecord> WriteContentsAsync(SetWriter set, CopiedCluster copied, StoredFile control, CancellationToken cancel)
    {
        var contents = new PhysicalContents
        {
            DataDirectory = facts.DataDirectory ?? string.Empty,
            Files = copied.Volumes.SelectMany(static v => v.Files).Append(control).Select(static f => f.Record).ToList(),
            Directories = copied.Directories,
            Tablespaces = copied.Tablespaces,
            OutsideFiles = copied.OutsideFiles.Select(static f => f.Path).ToList(),
        };
        await using var target = await set.CreateAsync("contents.json", ObjectRole.Contents, cancel);
        await JsonSerializer.SerializeAsync(target, contents, RepositoryJson.Default.PhysicalContents, cancel);
        await target.CompleteAsync(cancel);
        return target.Record;
    }
}
