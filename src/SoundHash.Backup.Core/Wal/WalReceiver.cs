using System.Globalization;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Wal;

/// <summary>How to receive.</summary>
/// <param name="Server">The server.</param>
/// <param name="SpoolDirectory">BACKUP_SPOOL_DIR, absolute.</param>
/// <param name="Slot">The replication slot.</param>
/// <param name="Flush">How often a piece of the unfinished segment is stored.</param>
/// <param name="Synchronous">Sync what is received at once and say so, so that the server may wait for it.</param>
/// <param name="Jobs">Segments that are archived at once.</param>
/// <param name="RequiredCopies">How many stores must have a segment for it to count as archived.</param>
public sealed record WalReceiveOptions(
    ConnectionSettings Server, string SpoolDirectory, Slot Slot, TimeSpan Flush, bool Synchronous, int Jobs, int RequiredCopies);

/// <summary>
/// Receives the log as the server writes it and archives it. What an earlier run left is archived before anything is streamed,
/// and even when there is no server any more.
/// </summary>
/// <param name="stores">The stores of the archive.</param>
/// <param name="repository">The repository, which says what clusters belong here too.</param>
/// <param name="seal">How to compress and encrypt.</param>
/// <param name="options">How to receive.</param>
/// <param name="launcher">Starts pg_receivewal.</param>
/// <param name="tools">Finds it.</param>
/// <param name="systemd">Is told how it goes.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For people.</param>
public sealed class WalReceiver(
    IReadOnlyList<IObjectStore> stores,
    IObjectStore repository,
    Seal seal,
    WalReceiveOptions options,
    ProcessLauncher launcher,
    PgToolFinder tools,
    SystemdNotify systemd,
    TimeProvider time,
    ILogger log)
{
    private static readonly TimeSpan ScanInterval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LastUploads = TimeSpan.FromSeconds(15);
    private readonly string _root = WalReceiveFolder.RootIn(options.SpoolDirectory);
    private readonly WalReceiveProgress _progress = new(time);

    /// <summary>Receives until it is told to end, which is a success.</summary>
    /// <exception cref="BackupException">It can't begin, or it can't go on without a gap or a mix-up.</exception>
    public async Task RunAsync(CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var alive = systemd.KeepAliveAsync(time, stop.Token);
        try
        {
            await ReceiveAsync(stop);
        }
        catch (Exception e) when (cancel.IsCancellationRequested && e is OperationCanceledException or BackupException)
        {
            log.Debug(e, "ended as asked");
        }
        finally
        {
            await stop.CancelAsync();
            await alive;
        }
    }

    /// <summary>Archives what is left, drops the slot and forgets where the stream was.</summary>
    /// <returns>False when there was no slot.</returns>
    /// <exception cref="BackupException">Something could not be archived, or the slot is in use.</exception>
    public async Task<bool> DropSlotAsync(CancellationToken cancel)
    {
        await using var session = await Session.OpenAnyAsync(options.Server, cancel);
        var system = await SystemAsync(session, cancel);
        var folder = new WalReceiveFolder(_root, system);
        using var alone = await LockAsync(system, cancel);
        await AdmitAsync(system, folder, cancel);
        using var upload = UploadOf(system, folder);
        await upload.UploadLeftoversAsync(cancel);
        var wasThere = await options.Slot.DropAsync(session, cancel);
        foreach (var file in folder.Scan())
        {
            folder.Remove(file);
        }

        return wasThere;
    }

    private async Task ReceiveAsync(CancellationTokenSource stop)
    {
        await UploadAllLeftoversAsync(stop.Token);
        ulong system;
        await using (var session = await Session.OpenAnyAsync(options.Server, stop.Token))
        {
            system = await SystemAsync(session, stop.Token);
        }

        var folder = new WalReceiveFolder(_root, system);
        using var alone = await LockAsync(system, stop.Token);
        await AdmitAsync(system, folder, stop.Token);
        using var upload = UploadOf(system, folder);
        await TryUploadAsync(upload.UploadLeftoversAsync, stop.Token);
        var stream = new WalReceiveStream(folder, options, launcher, tools, _progress, time, log);
        try
        {
            await AllOrNoneAsync(stop, StreamAsync(stream, upload, stop.Token), UploadAsync(upload, stop.Token), ReportAsync(stop.Token));
        }
        finally
        {
            systemd.Stopping();
            using var last = new CancellationTokenSource(LastUploads, time);
            await TryUploadAsync(upload.DrainAsync, last.Token);
            log.Information("ended: {Progress:l}", _progress);
        }
    }

    private async Task AdmitAsync(ulong system, WalReceiveFolder folder, CancellationToken cancel)
    {
        var archives = ArchivesOf(system);
        await archives.EachStoreAsync(s => new WalReceiveAdmission(s, repository).EnsureAsync(system, cancel), cancel);
        folder.Make();
        await archives.AdmitAsync(folder.HasArchivedIn, time.GetUtcNow(), cancel);
        folder.RememberArchive(archives.Admitted);
        // What a receiver that was killed has left; a day on, nobody writes to it.
        await archives.EachStoreAsync(
            s => s.RemoveAbandonedWritesAsync(WalLayout.PieceFolder(system), time.GetUtcNow() - TimeSpan.FromDays(1), cancel), cancel);
    }

    private static async Task AllOrNoneAsync(CancellationTokenSource stop, params Task[] tasks)
    {
        var first = await Task.WhenAny(tasks);
        await stop.CancelAsync();
        await Task.WhenAll(tasks).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        await first;
    }

    private async Task StreamAsync(WalReceiveStream stream, WalReceiveUpload upload, CancellationToken cancel)
    {
        for (var attempt = 0; ; attempt++)
        {
            var streamed = false;
            try
            {
                await stream.RunAsync(
                    () =>
                    {
                        if (!streamed)
                        {
                            streamed = true;
                            systemd.Ready();
                            log.Information("streaming from {Server} through slot {Slot}", options.Server.Server, options.Slot.Name);
                        }
                    },
                    cancel);
            }
            catch (BackupException e) when (e.Kind == ErrorKind.ChildFailed && !cancel.IsCancellationRequested)
            {
                log.Warning("the stream ended: {Message:l}", e.Message);
            }

            _progress.Lost();
            await TryUploadAsync(upload.DrainAsync, cancel);
            attempt = streamed ? 0 : attempt;
            await Task.Delay(WalReceiveBackoff.After(attempt), time, cancel);
        }
    }

    private async Task UploadAsync(WalReceiveUpload upload, CancellationToken cancel)
    {
        var flushed = time.GetTimestamp();
        var failures = 0;
        while (true)
        {
            var isDue = time.GetElapsedTime(flushed) >= options.Flush;
            if (await TryUploadAsync(isDue ? upload.FlushAsync : upload.ArchiveAsync, cancel))
            {
                failures = 0;
                flushed = isDue ? time.GetTimestamp() : flushed;
                await Task.Delay(ScanInterval, time, cancel);
            }
            else
            {
                await Task.Delay(WalReceiveBackoff.After(failures++), time, cancel);
            }
        }
    }

    // False when it failed in a way that may pass: what is received is kept here until it does.
    private async Task<bool> TryUploadAsync(Func<CancellationToken, Task> upload, CancellationToken cancel)
    {
        try
        {
            await upload(cancel);
            _progress.Trouble(null);
            return true;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return false;
        }
        catch (BackupException e) when (e.Kind is ErrorKind.Storage or ErrorKind.Encryption or ErrorKind.ChildFailed or ErrorKind.Failed)
        {
            log.Warning("what was received can't be archived and is kept here: {Message:l}", e.Message);
            _progress.Trouble("archiving fails");
            return false;
        }
    }

    private async Task ReportAsync(CancellationToken cancel)
    {
        var last = string.Empty;
        using var timer = new PeriodicTimer(ReportInterval, time);
        while (await timer.WaitForNextTickAsync(cancel))
        {
            var now = _progress.ToString();
            systemd.Status(now);
            log.Write(now == last ? Serilog.Events.LogEventLevel.Debug : Serilog.Events.LogEventLevel.Information, "{Progress:l}", now);
            last = now;
        }
    }

    // Of every cluster whose receiver ran here, since the server may be gone for good.
    private async Task UploadAllLeftoversAsync(CancellationToken cancel)
    {
        foreach (var system in WalReceiveFolder.Systems(_root))
        {
            RunLock alone;
            try
            {
                alone = await LockAsync(system, cancel);
            }
            catch (BackupException e) when (e.Kind == ErrorKind.Locked)
            {
                // A receiver of that cluster is at work. If it is the cluster of ours, we shall be told.
                continue;
            }

            using (alone)
            {
                var folder = new WalReceiveFolder(_root, system);
                // Its position is not that of the server that we are to receive from.
                using var upload = UploadOf(system, folder, new WalReceiveProgress(time));
                // Only into the archive that it was meant for.
                var archive = ArchivesOf(system);
                if (folder.HasArchived && await TryUploadAsync(c => archive.AdmitAsync(static _ => true, time.GetUtcNow(), c), cancel))
                {
                    await TryUploadAsync(upload.UploadLeftoversAsync, cancel);
                }
            }
        }
    }

    private WalArchives ArchivesOf(ulong system) => new(
        stores, system, options.RequiredCopies, new WalBehind(Path.Combine(_root, $"behind-{system.ToString(CultureInfo.InvariantCulture)}"), time), log);

    private WalReceiveUpload UploadOf(ulong system, WalReceiveFolder folder, WalReceiveProgress? progress = null) =>
        new(folder, ArchivesOf(system), seal, options.Jobs, progress ?? _progress, log);

    private Task<RunLock> LockAsync(ulong system, CancellationToken cancel) => RunLock.TakeAsync(
        _root, "wal-archive receive", system.ToString(CultureInfo.InvariantCulture), TimeSpan.Zero, time, cancel);

    private async Task<ulong> SystemAsync(Session session, CancellationToken cancel) =>
        ulong.TryParse(await ServerFacts.SystemIdentifierAsync(session, log, cancel), CultureInfo.InvariantCulture, out var system)
            ? system
            : throw new BackupException(
                ErrorKind.Configuration,
                $"the role \"{options.Server.User}\" may not read the server's system identifier",
                $"GRANT EXECUTE ON FUNCTION pg_control_system() TO {SqlText.Identifier(options.Server.User)}");
}
