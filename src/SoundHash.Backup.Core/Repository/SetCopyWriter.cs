using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.FanOut;

namespace SoundHash.Backup.Repository;

/// <summary>The copy of a set in one store while it is written: all but its objects, which go to all stores at once.</summary>
/// <param name="destination">The store.</param>
/// <param name="id">The set's id.</param>
/// <param name="log">For people.</param>
internal sealed class SetCopyWriter(Destination destination, string id, ILogger log)
{
    private const int ObjectsAtOnce = 8;

    private readonly string _manifest = RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile);
    private readonly string _intent = RepositoryLayout.InSet(id, RepositoryLayout.IntentFile);
    private bool _mayHaveManifest;

    public Destination Destination => destination;

    /// <summary>True when the copy exists.</summary>
    public bool IsCommitted { get; private set; }

    /// <summary>Reserves the id in this store; false when it is taken.</summary>
    /// <exception cref="BackupException">The store can't be written, or is one that this run has reserved it in already.</exception>
    public async Task<bool> TryReserveAsync(IntentRecord intent, CancellationToken cancel)
    {
        if (await Store.StatAsync(_manifest, cancel) is not null)
        {
            return false;
        }

        try
        {
            await Store.WriteJsonAsync(_intent, intent, RepositoryJson.Default.IntentRecord, WriteMode.CreateNew, cancel);
        }
        catch (ObjectExistsException)
        {
            await EnsureNotOursAsync(intent, cancel);
            return false;
        }

        // Another writer may have committed the set, and have removed its intent, since we looked.
        if (await Store.StatAsync(_manifest, CancellationToken.None) is null)
        {
            return true;
        }

        await Store.DeleteAsync(_intent, CancellationToken.None);
        return false;
    }

    /// <summary>Gives the id back, of which nothing was written yet.</summary>
    public async Task ReleaseAsync()
    {
        try
        {
            await Store.DeleteAsync(_intent, CancellationToken.None);
        }
        catch (StorageException e)
        {
            log.Warning("{Message:l}; it is removed by a later run", e.Message);
        }
    }

    /// <summary>
    /// Replaces the intent. Where that fails the old one goes on to say that all WAL is needed, and looks older than it is; what is wrong with the
    /// store itself the objects meet, and whoever may create and not replace backs up all the same.
    /// </summary>
    public async Task RefreshIntentAsync(IntentRecord intent, CancellationToken cancel)
    {
        try
        {
            await Store.WriteJsonAsync(_intent, intent, RepositoryJson.Default.IntentRecord, WriteMode.Replace, cancel);
        }
        catch (StorageException e)
        {
            log.Warning("{Message:l}; the backup goes on", e.Message);
        }
    }

    /// <summary>Does all that comes before the manifest: looks at every object again, locks it where the store does that, and writes the sums.</summary>
    /// <exception cref="StorageException">An object is not there as it was written, or can't be locked.</exception>
    public async Task PrepareAsync(Manifest manifest, ReadOnlyMemory<byte> sums, SetKeeping keeping, CancellationToken cancel)
    {
        var locked = keeping.LockedIn(Store.Name);
        var options = new ParallelOptions { MaxDegreeOfParallelism = ObjectsAtOnce, CancellationToken = cancel };
        await Parallel.ForEachAsync(manifest.Objects, options, async (item, token) =>
        {
            var found = await Store.StatAsync(RepositoryLayout.InSet(id, item.Key), token);
            if (found?.Size != item.StoredBytes)
            {
                throw new StorageException(
                    $"object {item.Key} of set {id} was written with {item.StoredBytes} bytes and is {(found is null ? "gone" : $"{found.Size} bytes long")} in store {Store.Name}",
                    "see who else deletes from the store, then run the backup again");
            }

            await Store.RetainAsync(RepositoryLayout.InSet(id, item.Key), locked, token);
        });
        await Store.WriteAsync(RepositoryLayout.InSet(id, RepositoryLayout.SumsFile), sums, WriteMode.CreateNew, locked, cancel);
    }

    /// <summary>Writes the manifest, which makes the copy exist.</summary>
    public async Task PublishAsync(ReadOnlyMemory<byte> manifest, SetKeeping keeping, CancellationToken cancel)
    {
        try
        {
            _mayHaveManifest = true;
            await Store.WriteAsync(_manifest, manifest, WriteMode.CreateNew, keeping.LockedIn(Store.Name), cancel);
        }
        catch (ObjectExistsException)
        {
            _mayHaveManifest = false;
            throw;
        }

        IsCommitted = true;
        // A leftover intent beside a manifest means nothing; failing to remove it must not fail a good backup.
        try
        {
            await Store.DeleteAsync(_intent, cancel);
        }
        catch (StorageException e)
        {
            log.Warning("{Message:l}; the set is good", e.Message);
        }
    }

    /// <summary>
    /// Removes what was written. Where that fails, a later run does it. A manifest that this writer has not even tried to write makes
    /// the folder somebody else's set.
    /// </summary>
    public async Task GiveUpAsync(CancellationToken cancel)
    {
        if (destination.Stalled)
        {
            log.Warning("what is in store {Store:l} of set {Id}, which was not finished there, is removed by a later run", Store.Name, id);
            return;
        }

        try
        {
            if (!_mayHaveManifest && await Store.StatAsync(_manifest, cancel) is not null)
            {
                log.Warning("set {Id} was finished by another run; nothing of it is removed", id);
                return;
            }

            await SetRemoval.RemoveFolderAsync(Store, id, log, cancel);
        }
        catch (StorageException e)
        {
            log.Warning("{Message:l}; set {Id} was not finished in store {Store:l} and is removed there by a later run", e.Message, id, Store.Name);
        }
    }

    private IObjectStore Store => destination.Store;

    // Two stores that are one place under two names would make two copies of one, and remove each other's.
    private async Task EnsureNotOursAsync(IntentRecord ours, CancellationToken cancel)
    {
        if (await Store.ReadJsonAsync(_intent, RepositoryJson.Default.IntentRecord, cancel) == ours)
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"store {Store.Name} is the same place as another store of this run, so that two copies would be one",
                "give each store a directory, or a bucket and prefix, of its own");
        }
    }
}
