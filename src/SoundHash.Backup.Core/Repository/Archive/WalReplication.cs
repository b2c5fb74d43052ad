using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>What became of a cluster's WAL that was to be copied to another store.</summary>
/// <param name="SystemIdentifier">The cluster.</param>
/// <param name="Copied">How many files were copied.</param>
/// <param name="Errors">What could not be.</param>
public sealed record ReplicatedWal(ulong SystemIdentifier, int Copied, IReadOnlyList<BackupException> Errors);

/// <summary>
/// Gives one store the WAL that another one has, as it is stored: no key is needed. Histories come first, as they do when they are archived.
/// </summary>
/// <param name="from">Where from.</param>
/// <param name="to">Where to.</param>
/// <param name="jobs">Files at once.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For people.</param>
public sealed class WalReplication(WalArchive from, WalArchive to, int jobs, TimeProvider time, ILogger log)
{
    /// <summary>Copies what is missing. One file that can't be copied does not keep the others from it.</summary>
    /// <param name="needed">Files that must be there in the end.</param>
    /// <param name="onlyNeeded">Copies those and every history; else all there are.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<ReplicatedWal> RunAsync(IReadOnlySet<WalFileName> needed, bool onlyNeeded, CancellationToken cancel)
    {
        await to.AdmitAsync(hasArchived: false, time.GetUtcNow(), cancel);
        // One without its sum is none.
        var there = await NamesAsync(to, cancel);
        var removed = await to.ReadRemovedAsync(cancel);
        // What a clean-up has removed there was not needed any more: to bring it back would have it removed again, and so on.
        var missing = (await NamesAsync(from, cancel)).Where(n => !there.Contains(n)
            && (n.Kind == WalFileKind.TimelineHistory || needed.Contains(n) || (!onlyNeeded && !removed.Any(r => r.Covers(n.Name))))).ToList();
        var errors = new List<BackupException>();
        var copied = 0;
        foreach (var some in missing.GroupBy(static n => n.Kind != WalFileKind.TimelineHistory).OrderBy(static g => g.Key))
        {
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancel };
            await Parallel.ForEachAsync(some.OrderBy(static n => n.Name, StringComparer.Ordinal), parallel, async (name, token) =>
            {
                try
                {
                    var result = await to.CopyFromAsync(from, name, token);
                    if (result is null)
                    {
                        throw new BackupException(ErrorKind.Verification, $"WAL file {name} is gone from store {from.StoreName} since it was listed");
                    }

                    if (result == WalPutResult.Stored)
                    {
                        Interlocked.Increment(ref copied);
                        log.Debug("{Name:l} is in store {Store:l} too now", name.Name, to.StoreName);
                    }
                }
                catch (BackupException e) when (!token.IsCancellationRequested)
                {
                    lock (errors)
                    {
                        errors.Add(e);
                    }
                }
            });
        }

        foreach (var name in needed)
        {
            if (!await to.ConfirmAsync(name, cancel))
            {
                errors.Add(new BackupException(
                    ErrorKind.Verification,
                    $"WAL file {name}, which the sets need, is not in store {to.StoreName}, nor could it be copied from store {from.StoreName}",
                    "shbackup wal-archive verify --repair fetches what the server still has in pg_wal, else take a new physical backup"));
            }
        }

        return new ReplicatedWal(from.SystemIdentifier, copied, errors);
    }

    private static async Task<HashSet<WalFileName>> NamesAsync(WalArchive archive, CancellationToken cancel)
    {
        var names = new HashSet<WalFileName>();
        await foreach (var entry in archive.ListAsync(null, cancel))
        {
            if (entry.HasSum)
            {
                names.Add(entry.Name);
            }
        }

        return names;
    }
}
