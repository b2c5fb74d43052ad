using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Who removes by age must be able to trust the clocks by which ages are told.</summary>
internal static class StoreClock
{
    private static readonly TimeSpan Tolerance = TimeSpan.FromHours(1);

    /// <summary>Compares the clock of a store with this machine's, by an object that is gone again when this returns.</summary>
    /// <param name="store">The store.</param>
    /// <param name="probe">The key of that object.</param>
    /// <param name="now">The time by this machine.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">They differ too much to judge ages.</exception>
    public static async Task CompareAsync(IObjectStore store, string probe, DateTimeOffset now, CancellationToken cancel)
    {
        await store.WriteAsync(probe, ReadOnlyMemory<byte>.Empty, WriteMode.Replace, cancel);
        var written = await store.StatAsync(probe, cancel);
        await store.DeleteAsync(probe, cancel);
        if (written is null || (written.Modified - now).Duration() > Tolerance)
        {
            throw new BackupException(
                ErrorKind.Storage,
                $"the clock of this machine ({now:yyyy-MM-dd HH:mm:ss}Z) and of store {store.Name} ({written?.Modified:yyyy-MM-dd HH:mm:ss}Z) differ by more than {Tolerance.TotalHours:0} hour: nothing is removed",
                "correct the clock (timedatectl), then run this again");
        }
    }

    /// <summary>The store's clock may be this machine's: the newest set was made by the database's.</summary>
    /// <exception cref="BackupException">The newest set lies in the future.</exception>
    public static void EnsureNoFuture(Catalogue catalogue, DateTimeOffset now)
    {
        if (catalogue.Sets.Select(static s => s.Manifest).FirstOrDefault() is { } newest && newest.Started > now + Tolerance)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"the clock of this machine says {now:yyyy-MM-dd HH:mm:ss}Z, but set {newest.Id} started at "
                + $"{newest.Started:yyyy-MM-dd HH:mm:ss}Z: nothing is removed",
                $"correct the clock (timedatectl); when it is right and was wrong then, move the folder sets/{newest.Id} out of the repository");
        }
    }
}
