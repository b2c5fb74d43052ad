using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Wal;

/// <summary>What one push did.</summary>
/// <param name="Result">What became of the file that PostgreSQL asked for.</param>
/// <param name="Ahead">How many further segments were archived and acknowledged.</param>
public sealed record WalPushOutcome(WalPutResult Result, int Ahead);

/// <summary>
/// Archives the file that PostgreSQL's archive_command asks for, and while it is at work the segments that wait behind it:
/// each of those leaves an acknowledgement, so that PostgreSQL's next commands need not start us again.
/// </summary>
/// <param name="stores">The stores of the archive.</param>
/// <param name="seal">How to compress and encrypt.</param>
/// <param name="settings">Where the spool is.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For what is out of the ordinary.</param>
public sealed class WalPush(IReadOnlyList<IObjectStore> stores, Seal seal, WalPushSettings settings, TimeProvider time, ILogger log)
{
    // PostgreSQL waits for the end of a command before it asks for the next file, and shows no progress before that.
    private const int MostAhead = 1000;

    /// <summary>Archives a file. When it returns, the file is durable in the archive.</summary>
    /// <param name="path">The file: what %p stands for.</param>
    /// <param name="name">The name to archive it under, or null for the file's own.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It is not archived.</exception>
    public async Task<WalPushOutcome> RunAsync(string path, string? name, CancellationToken cancel)
    {
        var file = WalFileName.Parse(name ?? Path.GetFileName(path));
        var data = DataDirectory.OfWalFile(path);
        foreach (var (setting, directory) in settings.ArchiveDirectories)
        {
            data?.EnsureOutside(setting, directory);
        }

        data?.EnsureOutside("BACKUP_SPOOL_DIR", settings.SpoolDirectory);
        var source = await WalSource.ReadAsync(file, path, cancel);
        var system = data?.SystemIdentifier ?? WalHeader.TryRead(source.First.Span)?.SystemIdentifier ?? throw new BackupException(
            ErrorKind.Usage,
            $"which cluster {path} belongs to can't be told: it is not in the pg_wal of a data directory",
            "give the path as PostgreSQL does, pg_wal/NAME in the data directory");
        if (data is null)
        {
            var archive = new WalArchives(stores, system, settings.RequiredCopies, behind: null, log);
            await archive.AdmitAsync(static _ => false, time.GetUtcNow(), cancel);
            await EnsureGenuineAsync(source, system, null, cancel);
            EnsureWhole(file, path, cancel);
            return new WalPushOutcome(await archive.PutAsync(source, seal, null, cancel), 0);
        }

        var spool = WalSpool.Of(settings.SpoolDirectory, system, data.Path);
        spool.Make();
        using var alone = await RunLock.TakeAsync(spool.Folder, "wal-archive push", null, settings.LockWait, time, cancel);
        var archives = new WalArchives(stores, system, settings.RequiredCopies, new WalBehind(spool.BehindFolder, time), log);
        await archives.AdmitAsync(spool.HasArchivedIn, time.GetUtcNow(), cancel);
        await EnsureGenuineAsync(source, system, data, cancel);
        // PostgreSQL marks what it asks for; what a person hands over may still be written, and would keep the whole one out.
        if (!File.Exists(data.ReadyMarkOf(file)))
        {
            EnsureWhole(file, path, cancel);
        }

        var outcome = await PushAsync(archives, source, data, spool, cancel);
        await archives.HealAsync(cancel);
        return outcome;
    }

    private static void EnsureWhole(WalFileName name, string path, CancellationToken cancel)
    {
        if (name.Kind == WalFileKind.Segment && WalCompleteness.Doubt(path, cancel) is { } doubt)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{path} may not be the whole segment: {doubt}; nothing was archived",
                "PostgreSQL hands a segment over itself when it is whole; while the server runs, SELECT pg_switch_wal() ends its current one");
        }
    }

    private async Task<WalPushOutcome> PushAsync(
        WalArchives archive, WalSource asked, DataDirectory data, WalSpool spool, CancellationToken cancel)
    {
        var ready = ReadySegments.Of(data);
        spool.RemoveSpent(ready.Names);
        // Histories say which segments belong together: they are never later than those.
        foreach (var history in ready.Histories.Where(h => h != asked.Name))
        {
            await archive.PutAsync(await WalSource.ReadAsync(history, data.PathOf(history), cancel), seal, null, cancel);
        }

        if (asked.Name.Kind is WalFileKind.Segment or WalFileKind.Partial)
        {
            await EnsureHistoryAsync(archive, asked.Name, data, cancel);
        }

        var behind = asked.Name.Kind == WalFileKind.Segment
            ? ready.Behind(asked.Name).Where(n => !File.Exists(spool.AcknowledgementOf(n))).Take(MostAhead).ToList()
            : [];
        // Alone, it may use every core; beside others, each has its own.
        var own = behind.Count == 0 ? seal : seal with { Compression = seal.Compression with { Workers = 0 } };
        var result = archive.PutAsync(asked, own, null, cancel);
        var ahead = PushAheadAsync(archive, own, behind, data, spool, result, cancel);
        await Task.WhenAll(result, ahead);
        spool.RememberArchive(archive.Admitted);
        return new WalPushOutcome(await result, await ahead);
    }

    // Without it the segment is of no use, and PostgreSQL may never hand it over. One that is nowhere must not stop archiving.
    private async Task EnsureHistoryAsync(WalArchives archive, WalFileName name, DataDirectory data, CancellationToken cancel)
    {
        var timeline = name.TimelineNumber;
        var (added, isThere) = await new WalHistories(archive, seal).EnsureAsync(data, timeline, cancel);
        foreach (var history in added)
        {
            log.Information("archived {History:l} too, which PostgreSQL had not asked for", history.Name);
        }

        if (!isThere)
        {
            log.Warning(
                "{History:l} is neither in the archive nor in {Folder:l}: recovery can't use {Name:l} without it",
                TimelineHistory.NameOf(timeline),
                data.WalFolder,
                name.Name);
        }
    }

    // In order, several at once. The first failure ends it: PostgreSQL will ask for that segment and see the reason.
    private async Task<int> PushAheadAsync(
        WalArchives archive,
        Seal own,
        List<WalFileName> names,
        DataDirectory data,
        WalSpool spool,
        Task<WalPutResult> asked,
        CancellationToken cancel)
    {
        var count = 0;
        var next = -1;
        var failed = false;
        async Task WorkAsync()
        {
            while (!failed && !asked.IsFaulted && Interlocked.Increment(ref next) is var mine && mine < names.Count)
            {
                try
                {
                    await PushAheadAsync(archive, own, names[mine], data, spool, cancel);
                    Interlocked.Increment(ref count);
                }
                catch (BackupException e)
                {
                    failed = true;
                    log.Warning("{Name} could not be archived ahead: {Message:l}", names[mine].Name, e.Message);
                }
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Math.Min(settings.Jobs, names.Count)).Select(_ => Task.Run(WorkAsync, cancel)));
        return count;
    }

    private static async Task PushAheadAsync(
        WalArchives archive, Seal own, WalFileName name, DataDirectory data, WalSpool spool, CancellationToken cancel)
    {
        var path = data.PathOf(name);
        var before = LocalFiles.Identity(path);
        var source = await WalSource.ReadAsync(name, path, cancel);
        await EnsureGenuineAsync(source, archive.SystemIdentifier, data, cancel);
        // PostgreSQL may have recycled the file under another name since: what was read would then be two segments mixed.
        await archive.PutAsync(source, own, () => EnsureStillReady(name, path, before, data), cancel);
        spool.Acknowledge(name);
    }

    private static void EnsureStillReady(WalFileName name, string path, (ulong Device, ulong Inode)? before, DataDirectory data)
    {
        if (before is null || LocalFiles.Identity(path) != before || !File.Exists(data.ReadyMarkOf(name)))
        {
            throw new BackupException(ErrorKind.Failed, $"{name} changed while it was archived ahead", "PostgreSQL asks for it when it is its turn");
        }
    }

    // Backup history files and timeline histories are text, and have no header.
    private static async Task EnsureGenuineAsync(WalSource source, ulong system, DataDirectory? data, CancellationToken cancel)
    {
        if (source.Name.Kind is not (WalFileKind.Segment or WalFileKind.Partial))
        {
            return;
        }

        var header = WalHeader.TryRead(source.First.Span) ?? throw new BackupException(
            ErrorKind.Verification, $"WAL file {source.Name} does not begin like one", "see which server writes to that pg_wal directory");
        var timeline = source.Name.TimelineNumber;
        var history = header.Timeline == timeline || data is null ? null : await ReadHistoryAsync(timeline, data, cancel);
        header.EnsureIs(source.Name, system, history, source.Length);
    }

    private static async Task<TimelineHistory?> ReadHistoryAsync(uint timeline, DataDirectory data, CancellationToken cancel)
    {
        var path = Path.Combine(data.WalFolder, TimelineHistory.NameOf(timeline));
        try
        {
            return File.Exists(path) ? TimelineHistory.Parse(timeline, await File.ReadAllTextAsync(path, cancel)) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new BackupException(
                ErrorKind.Verification, $"{path} can't be read: {e.Message}", "see what is in that file; copy it from the archive or from another server", e);
        }
    }
}

/// <summary>Where a push works.</summary>
/// <param name="ArchiveDirectories">Stores of the archive that are directories, absolute, with the settings that name them.</param>
/// <param name="RequiredCopies">How many stores must have a segment for it to count as archived.</param>
/// <param name="SpoolDirectory">BACKUP_SPOOL_DIR, absolute.</param>
/// <param name="Jobs">Segments at once.</param>
/// <param name="LockWait">How long to wait for another push of the same cluster.</param>
public sealed record WalPushSettings(
    IReadOnlyList<(string Setting, string Directory)> ArchiveDirectories, int RequiredCopies, string SpoolDirectory, int Jobs, TimeSpan LockWait);
