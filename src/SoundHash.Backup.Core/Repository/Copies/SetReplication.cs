using System.Text;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Copies;

/// <summary>What became of a set that was to be copied to another store.</summary>
/// <param name="Id">The set.</param>
/// <param name="Objects">How many of its objects were copied; 0 where all were there.</param>
/// <param name="Bytes">Their stored bytes.</param>
/// <param name="Seconds">What copying them took; 0 where none was.</param>
/// <param name="Error">Why it is not there, or null.</param>
public sealed record ReplicatedSet(string Id, int Objects, long Bytes, double Seconds, BackupException? Error);

/// <summary>
/// Copies sets from one store to another as they are stored: no key is needed, and every object is compared with its recorded hash on the
/// way. As with a backup the manifest comes last. What an earlier run has copied is kept, and what is wrong with a copy is mended.
/// </summary>
/// <param name="from">Where from.</param>
/// <param name="to">Where to.</param>
/// <param name="held">The run's lock, for the intent.</param>
/// <param name="retention">How long each store keeps sets.</param>
/// <param name="jobs">Objects at once.</param>
/// <param name="meter">Measures the bytes.</param>
/// <param name="time">The clock.</param>
/// <param name="log">For people.</param>
public sealed class SetReplication(
    IObjectStore from, IObjectStore to, RunLock held, StoreRetention retention, int jobs, TransferMeter meter, TimeProvider time, ILogger log)
{
    /// <summary>Copies a set, or what its copy lacks; when it returns, the copy is whole and durable.</summary>
    /// <param name="source">The set.</param>
    /// <param name="readBack">Also reads what is there already and looks right, and replaces it where it is not as it was written.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">The set is not whole, another one is there, or a store fails.</exception>
    public async Task<ReplicatedSet> RunAsync(CatalogueEntry source, bool readBack, CancellationToken cancel)
    {
        var manifest = source.Manifest ?? throw source.Problem!;
        if (!source.IsComplete)
        {
            throw new BackupException(
                ErrorKind.Verification, $"set {source.Id} is not whole in store {from.Name}: {string.Join(", ", source.DamagedObjects)}", "copy it from another store");
        }

        var bytes = ManifestFormat.Write(manifest);
        // As it is now: others remove and write sets meanwhile.
        var there = await Catalogue.LoadSetAsync(to, source.Id, cancel);
        if (there?.Problem is { Kind: not ErrorKind.Verification } unread)
        {
            throw unread;
        }

        if (there?.Manifest is { } other && !ManifestFormat.Write(other).AsSpan().SequenceEqual(bytes))
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"set {source.Id} in store {to.Name} is another one than in store {from.Name}",
                "look at each alone (shbackup backup show ID --from STORE); two clusters need a BACKUP_CLUSTER each");
        }

        await AdmitAsync(manifest, cancel);
        if (there?.Manifest is null)
        {
            await EnsureNobodyWritesAsync(source.Id, cancel);
            await WriteIntentAsync(source.Id, cancel);
        }

        var began = time.GetTimestamp();
        var copied = await CopyObjectsAsync(manifest, there, readBack, cancel);
        var took = copied.Count > 0 ? time.GetElapsedTime(began).TotalSeconds : 0;
        if (copied.Count > 0 || there is not { IsComplete: true })
        {
            await CommitAsync(manifest, bytes, there, cancel);
        }

        if (source.Pinned)
        {
            await SetPin.SetAsync(to, source.Id, pinned: true, time, cancel);
        }

        return new ReplicatedSet(source.Id, copied.Count, copied.Sum(static o => o.StoredBytes), took, null);
    }

    // A cluster that was upgraded has had several identifiers: the repository that knows them all vouches for each of them.
    private async Task AdmitAsync(Manifest manifest, CancellationToken cancel)
    {
        var ours = await from.ReadJsonAsync(RepositoryLayout.RepositoryFile, RepositoryJson.Default.RepositoryRecord, cancel);
        var theirs = await to.ReadJsonAsync(RepositoryLayout.RepositoryFile, RepositoryJson.Default.RepositoryRecord, cancel);
        var isSame = theirs is null || theirs.Systems.Count == 0
            || ours?.Systems.Any(o => theirs.Systems.Any(t => t.SystemIdentifier == o.SystemIdentifier)) == true;
        await new RepositoryGuard(to, time, log).AdmitAsync(manifest.SystemIdentifier, allowNew: isSame, cancel);
    }

    // The intent of a run of this machine is of one that has ended there: its set is whole in the other store.
    private async Task EnsureNobodyWritesAsync(string id, CancellationToken cancel)
    {
        var key = RepositoryLayout.InSet(id, RepositoryLayout.IntentFile);
        if (await to.StatAsync(key, cancel) is { } found
            && found.Modified > time.GetUtcNow() - RepositoryGuard.LeftoverAge
            && await to.ReadJsonAsync(key, RepositoryJson.Default.IntentRecord, cancel) is { } intent
            && (intent.Instance, intent.Host) != (held.Instance, Environment.MachineName))
        {
            throw new BackupException(
                ErrorKind.Locked,
                $"another run writes set {id} to store {to.Name}: pid {intent.ProcessId} on {intent.Host}, since {intent.Since:yyyy-MM-dd HH:mm:ss}Z",
                "run this again when it is done");
        }
    }

    private Task WriteIntentAsync(string id, CancellationToken cancel) => to.WriteJsonAsync(
        RepositoryLayout.InSet(id, RepositoryLayout.IntentFile),
        IntentRecord.Of(held, time) with { WalFrom = IntentRecord.NoWal },
        RepositoryJson.Default.IntentRecord,
        WriteMode.Replace,
        cancel);

    private async Task<List<ObjectRecord>> CopyObjectsAsync(Manifest manifest, CatalogueEntry? there, bool readBack, CancellationToken cancel)
    {
        var copied = new List<ObjectRecord>();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancel };
        await Parallel.ForEachAsync(manifest.Objects, parallel, async (item, token) =>
        {
            if (await IsThereAsync(manifest, item, readBack || there?.Manifest is null, token))
            {
                return;
            }

            await CopyAsync(manifest, item, token);
            lock (copied)
            {
                copied.Add(item);
            }
        });
        return copied;
    }

    // What a killed run has left of another try under the same name has the same size perhaps, and other bytes.
    private async Task<bool> IsThereAsync(Manifest manifest, ObjectRecord item, bool readBack, CancellationToken cancel)
    {
        if ((await to.StatAsync(RepositoryLayout.InSet(manifest.Id, item.Key), cancel))?.Size != item.StoredBytes)
        {
            return false;
        }

        if (!readBack)
        {
            return true;
        }

        try
        {
            await using var stored = await SealedObject.OpenStoredAsync(to, manifest.Id, item, cancel);
            await StreamCopy.DrainAsync(stored, meter: null, cancel);
            return true;
        }
        catch (BackupException e) when (e.Kind == ErrorKind.Verification)
        {
            log.Warning("{Message:l}; it is copied anew", e.Message);
            return false;
        }
    }

    private async Task CopyAsync(Manifest manifest, ObjectRecord item, CancellationToken cancel)
    {
        await using var stored = await SealedObject.OpenStoredAsync(from, manifest.Id, item, cancel);
        await using var target = await to.OpenWriteAsync(
            RepositoryLayout.InSet(manifest.Id, item.Key), WriteMode.Replace, SetKeeping.Of(manifest, retention).Attributes, cancel);
        await StreamCopy.ReadAheadAsync(stored, target, meter, cancel);
        // The end was reached, so that the hash is the recorded one.
        await target.CompleteAsync(cancel);
    }

    private async Task CommitAsync(Manifest manifest, byte[] bytes, CatalogueEntry? there, CancellationToken cancel)
    {
        var locked = SetKeeping.Of(manifest, retention).LockedIn(to.Name);
        foreach (var item in manifest.Objects)
        {
            if ((await to.StatAsync(RepositoryLayout.InSet(manifest.Id, item.Key), cancel))?.Size != item.StoredBytes)
            {
                throw new StorageException(
                    $"object {item.Key} of set {manifest.Id} is not in store {to.Name} as it was copied", "see who else deletes from the store, then run this again");
            }

            await to.RetainAsync(RepositoryLayout.InSet(manifest.Id, item.Key), locked, cancel);
        }

        await WriteSumsAsync(manifest, locked, cancel);
        if (there?.Manifest is null)
        {
            // One that can't be read is replaced; any other that has come meanwhile is somebody else's.
            await to.WriteAsync(
                RepositoryLayout.InSet(manifest.Id, RepositoryLayout.ManifestFile),
                bytes,
                there is null ? WriteMode.CreateNew : WriteMode.Replace,
                locked,
                cancel);
            await RemoveIntentAsync(manifest.Id, cancel);
        }

        if (await to.StatAsync(RepositoryLayout.InSet(manifest.Id, RepositoryLayout.ManifestFile), cancel) is null)
        {
            throw new StorageException($"set {manifest.Id} was removed from store {to.Name} while it was mended", "run this again");
        }

        log.Information("set {Id} is in store {Store:l} too now", manifest.Id, to.Name);
    }

    // Those of an earlier run that was stopped before the manifest may be locked: they say the same.
    private async Task WriteSumsAsync(Manifest manifest, ObjectAttributes locked, CancellationToken cancel)
    {
        var key = RepositoryLayout.InSet(manifest.Id, RepositoryLayout.SumsFile);
        var sums = Encoding.ASCII.GetBytes(string.Concat(manifest.Objects.Select(static o => $"{o.StoredSha256}  {o.Key}\n")));
        if ((await to.StatAsync(key, cancel))?.Size == sums.Length
            && (await to.ReadAsync(key, ManifestFormat.MaxBytes, cancel)).AsSpan().SequenceEqual(sums))
        {
            await to.RetainAsync(key, locked, cancel);
            return;
        }

        await to.WriteAsync(key, sums, WriteMode.Replace, locked, cancel);
    }

    // Beside a manifest it means nothing, and the copy is whole: whoever may write and not delete replicates all the same.
    private async Task RemoveIntentAsync(string id, CancellationToken cancel)
    {
        try
        {
            await to.DeleteAsync(RepositoryLayout.InSet(id, RepositoryLayout.IntentFile), cancel);
        }
        catch (StorageException e)
        {
            log.Warning("{Message:l}; the copy is good", e.Message);
        }
    }
}
