using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Keeps a repository to the clusters that belong in it, and free of what killed runs left.</summary>
public sealed class RepositoryGuard(IObjectStore store, TimeProvider time, ILogger log)
{
    private const int Format = 1;

    /// <summary>How old a leftover of somebody else must be before it is removed.</summary>
    public static TimeSpan LeftoverAge { get; } = TimeSpan.FromDays(1);

    /// <summary>
    /// Makes sure that the repository knows the cluster; the first cluster is taken, a further one only when allowed.
    /// </summary>
    /// <exception cref="BackupException">The repository is of a newer format, or belongs to another cluster.</exception>
    public async Task AdmitAsync(string? systemIdentifier, bool allowNew, CancellationToken cancel)
    {
        var known = await store.ReadJsonAsync(RepositoryLayout.RepositoryFile, RepositoryJson.Default.RepositoryRecord, cancel);
        if (known is null)
        {
            var first = new RepositoryRecord(Format, time.GetUtcNow(), Systems(systemIdentifier));
            try
            {
                await store.WriteJsonAsync(
                    RepositoryLayout.RepositoryFile, first, RepositoryJson.Default.RepositoryRecord, WriteMode.CreateNew, cancel);
            }
            catch (ObjectExistsException)
            {
                // Another first run was faster: what it wrote counts.
                await AdmitAsync(systemIdentifier, allowNew, cancel);
            }

            return;
        }

        EnsureAdmits(known, systemIdentifier, allowNew);
        if (systemIdentifier is null || known.Systems.Any(s => s.SystemIdentifier == systemIdentifier))
        {
            return;
        }

        log.Information("the repository now also belongs to system identifier {System}", systemIdentifier);
        await store.WriteJsonAsync(
            RepositoryLayout.RepositoryFile,
            known with { Systems = [.. known.Systems, .. Systems(systemIdentifier)] },
            RepositoryJson.Default.RepositoryRecord,
            WriteMode.Replace,
            cancel);
    }

    /// <summary>All that comes before a backup: whose the repository is, what killed runs left, the clock, and the room that there is.</summary>
    /// <exception cref="BackupException">The repository is not to be used for this backup.</exception>
    public async Task PrepareAsync(SetSubject subject, bool allowNew, RunLock held, DateTimeOffset databaseClock, CancellationToken cancel)
    {
        await AdmitAsync(subject.SystemIdentifier, allowNew, cancel);
        var catalogue = await Catalogue.LoadAsync(store, cancel);
        try
        {
            await RemoveLeftoversAsync(catalogue, held, dryRun: false, cancel);
        }
        catch (StorageException e)
        {
            // Whoever may write and not delete backs up all the same; what is wrong with the store itself, the backup meets too.
            log.Warning("what killed runs left in store {Store:l} can't be removed: {Message:l}", store.Name, e.Message);
        }

        EnsureClockMovesOn(catalogue, subject.Kind, subject.Database, databaseClock);
        await WarnOfSpaceAsync(catalogue, subject.Kind, subject.Database, cancel);
    }

    /// <summary>As <see cref="AdmitAsync"/>, and writes nothing.</summary>
    /// <exception cref="BackupException">The repository is of a newer format, or belongs to another cluster.</exception>
    public async Task EnsureAdmitsAsync(string? systemIdentifier, bool allowNew, CancellationToken cancel)
    {
        if (await store.ReadJsonAsync(RepositoryLayout.RepositoryFile, RepositoryJson.Default.RepositoryRecord, cancel) is { } known)
        {
            EnsureAdmits(known, systemIdentifier, allowNew);
        }
    }

    private static void EnsureAdmits(RepositoryRecord known, string? systemIdentifier, bool allowNew)
    {
        if (known.FormatVersion > Format)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"the repository has format version {known.FormatVersion}; this shbackup knows {Format}",
                "use the newer shbackup that made it");
        }

        if (systemIdentifier is not null
            && known.Systems.Count > 0 && known.Systems.All(s => s.SystemIdentifier != systemIdentifier) && !allowNew)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"this repository holds backups of system identifier {known.Systems[^1].SystemIdentifier}, and the server is {systemIdentifier}",
                "give each cluster its own BACKUP_CLUSTER; after pg_upgrade or a new initdb, run once with --new-system");
        }
    }

    /// <summary>
    /// Removes leftovers: at once those of dead holders, on this machine, of the lock that we hold now, others when they and
    /// their intent have not been touched for a day. One that is pinned was a set, and stays; and what has no intent is none of
    /// a killed run, but a set that somebody is copying here, or whose manifest was lost: its objects may be all there is.
    /// </summary>
    public async Task RemoveLeftoversAsync(Catalogue catalogue, RunLock held, bool dryRun, CancellationToken cancel)
    {
        foreach (var leftover in catalogue.Leftovers)
        {
            if (leftover.Keys.Contains(RepositoryLayout.InSet(leftover.Id, RepositoryLayout.KeepFile)))
            {
                log.Warning("set {Id} is pinned and has no manifest; it is left as it is", leftover.Id);
            }
            else if (!leftover.Keys.Contains(RepositoryLayout.InSet(leftover.Id, RepositoryLayout.IntentFile)))
            {
                log.Warning(
                    "folder sets/{Id:l} has no manifest, and no run of shbackup left it so; it is left as it is:"
                    + " finish copying it, fetch its manifest.json from another copy, or remove the folder when it is of no use",
                    leftover.Id);
            }
            else if (await IsAbandonedAsync(leftover, held, cancel) && !await IsCommittedAsync(leftover, cancel))
            {
                log.Information("{Verb} set {Id}, which was never finished", dryRun ? "would remove" : "removing", leftover.Id);
                if (!dryRun)
                {
                    await SetRemoval.RemoveFolderAsync(store, leftover.Id, log, cancel);
                }
            }
        }

        if (!dryRun)
        {
            await store.RemoveAbandonedWritesAsync($"{RepositoryLayout.Sets}/", time.GetUtcNow() - LeftoverAge, cancel);
        }
    }

    /// <summary>
    /// Refuses to go on when a set lies in the future: then the clock went backwards, or was wrong when that set was
    /// made, and the order of sets could not be trusted.
    /// </summary>
    /// <exception cref="BackupException">A set of the same kind and database started after now.</exception>
    public static void EnsureClockMovesOn(Catalogue catalogue, SetKind kind, string database, DateTimeOffset databaseClock)
    {
        var newest = Newest(catalogue, kind, database);
        if (newest is not null && newest.Started > databaseClock)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"the database's clock says {databaseClock:yyyy-MM-dd HH:mm:ss}Z, but set {newest.Id} started at {newest.Started:yyyy-MM-dd HH:mm:ss}Z: a clock went backwards",
                $"correct the clock; when it is right now and was wrong then, move the folder sets/{newest.Id} out of the repository");
        }
    }

    /// <summary>Refuses a set whose times no reader would believe.</summary>
    /// <exception cref="BackupException">The database's clock went back during the backup, or is wrong by decades.</exception>
    public static void EnsureClockMovedOn(DateTimeOffset started, DateTimeOffset stopped)
    {
        if (stopped < started || started < ManifestFormat.Earliest || stopped > ManifestFormat.Latest)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"the database's clock said {started:yyyy-MM-dd HH:mm:ss}Z when the backup began and {stopped:yyyy-MM-dd HH:mm:ss}Z at its end: "
                + (stopped < started ? "it went backwards" : "it is wrong"),
                "correct the clock of the database's machine (timedatectl), then run the backup again");
        }
    }

    /// <summary>
    /// Says when there is less room than the last set took. A guess must not stop a backup that might fit; a full disk fails it
    /// cleanly later on.
    /// </summary>
    public async Task WarnOfSpaceAsync(Catalogue catalogue, SetKind kind, string database, CancellationToken cancel)
    {
        if (Newest(catalogue, kind, database) is { } last && await store.FreeBytesAsync(cancel) is { } free && free < last.StoredBytes)
        {
            log.Warning(
                "store {Store} has {Free} MiB free, and the last set of {Subject:l} took {Needed} MiB;"
                + " make room: shbackup backup expire",
                store.Name,
                free >> 20,
                kind == SetKind.Physical ? "the cluster" : $"\"{database}\"",
                last.StoredBytes >> 20);
        }
    }

    private static Manifest? Newest(Catalogue catalogue, SetKind kind, string database) =>
        catalogue.Sets.Select(static s => s.Manifest).FirstOrDefault(m => m?.Kind == kind && m.Database == database);

    private async Task<bool> IsAbandonedAsync(Leftover leftover, RunLock held, CancellationToken cancel)
    {
        var key = RepositoryLayout.InSet(leftover.Id, RepositoryLayout.IntentFile);
        try
        {
            var intent = await store.ReadJsonAsync(key, RepositoryJson.Default.IntentRecord, cancel);
            // A state directory may have been copied, or be shared by machines whose locks don't reach each other.
            if (intent is not null
                && (intent.Instance, intent.Lock, intent.Host) == (held.Instance, held.Name, Environment.MachineName))
            {
                return true;
            }
        }
        catch (BackupException e)
        {
            log.Warning("{Message}", e.Message);
        }

        // It may be hours since the folder was listed: a writer that lives has refreshed its intent, or is done and has removed it.
        var youngest = time.GetUtcNow() - LeftoverAge;
        return leftover.Newest < youngest && await store.StatAsync(key, cancel) is { } now && now.Modified < youngest;
    }

    // Its writer may have been at the end of its work when it was listed.
    private async Task<bool> IsCommittedAsync(Leftover leftover, CancellationToken cancel) =>
        await store.StatAsync(RepositoryLayout.InSet(leftover.Id, RepositoryLayout.ManifestFile), cancel) is not null;

    private List<SystemRecord> Systems(string? identifier) =>
        identifier is null ? [] : [new SystemRecord(identifier, time.GetUtcNow())];
}

/// <summary>What a backup is of.</summary>
/// <param name="SystemIdentifier">The cluster's system identifier, or null where it can't be read.</param>
/// <param name="Kind">The kind of set.</param>
/// <param name="Database">The database, or empty for a cluster.</param>
public sealed record SetSubject(string? SystemIdentifier, SetKind Kind, string Database);
