using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>Locks the WAL that a locked set can't be restored without, for as long as the set is locked.</summary>
public static class WalLock
{
    private const int FilesAtOnce = 8;

    /// <summary>Locks it in one store; nothing is done where that locks no sets of the tier.</summary>
    /// <param name="archive">The archive.</param>
    /// <param name="needed">The files; all are there.</param>
    /// <param name="keeping">How the set is kept.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="Storage.StorageException">A file is not there, or can't be locked.</exception>
    public static Task RunAsync(WalArchive archive, IEnumerable<WalFileName> needed, SetKeeping keeping, CancellationToken cancel)
    {
        var locked = keeping.LockedIn(archive.StoreName);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = FilesAtOnce, CancellationToken = cancel };
        return Parallel.ForEachAsync(needed, parallel, async (name, token) => await archive.RetainAsync(name, locked, token));
    }
}
