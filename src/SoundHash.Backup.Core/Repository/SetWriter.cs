using System.Text;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>
/// Writes one set: intent first, then objects, then SHA256SUMS, then the manifest, which makes the set exist. Disposing
/// it without a commit removes what was written; after a kill the next run of the same lock does that.
/// </summary>
public sealed class SetWriter : IAsyncDisposable
{
    private readonly IObjectStore _store;
    private readonly Seal _seal;
    private IntentRecord _intent;
    private readonly ILogger _log;
    private bool _committed;
    private bool _mayHaveManifest;

    private SetWriter(IObjectStore store, string id, Seal seal, IntentRecord intent, ILogger log)
    {
        _store = store;
        Id = id;
        _seal = seal;
        _intent = intent;
        _log = log;
    }

    /// <summary>The set's id.</summary>
    public string Id { get; }

    /// <summary>Reserves an id by writing its intent.</summary>
    public static async Task<SetWriter> BeginAsync(
        IObjectStore store,
        string name,
        DateTimeOffset started,
        RunLock held,
        Seal seal,
        TimeProvider time,
        ILogger log,
        CancellationToken cancel)
    {
        var intent = IntentOf(held, time);
        for (var attempt = 1; ; attempt++)
        {
            var id = SetId.Make(name, started, attempt);
            if (await TryReserveAsync(store, id, intent, cancel))
            {
                return new SetWriter(store, id, seal, intent, log);
            }

            log.Debug("set id {Id} is taken", id);
        }
    }

    private static IntentRecord IntentOf(RunLock held, TimeProvider time) =>
        new(held.Instance, held.Name, Environment.MachineName, Environment.ProcessId, time.GetUtcNow());

    private static async Task<bool> TryReserveAsync(IObjectStore store, string id, IntentRecord intent, CancellationToken cancel)
    {
        var manifest = RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile);
        var key = RepositoryLayout.InSet(id, RepositoryLayout.IntentFile);
        if (await store.StatAsync(manifest, cancel) is not null)
        {
            return false;
        }

        try
        {
            await store.WriteJsonAsync(key, intent, RepositoryJson.Default.IntentRecord, WriteMode.CreateNew, cancel);
        }
        catch (ObjectExistsException)
        {
            return false;
        }

        // Another writer may have committed the set, and have removed its intent, since we looked.
        if (await store.StatAsync(manifest, CancellationToken.None) is null)
        {
            return true;
        }

        await store.DeleteAsync(key, CancellationToken.None);
        return false;
    }

    /// <summary>Begins an object of the set.</summary>
    public Task<SealedObject> CreateAsync(string name, ObjectRole role, CancellationToken cancel) =>
        SealedObject.CreateAsync(_store, Id, name, role, _seal, cancel);

    /// <summary>Makes the set exist. Every object is looked at again first, and the manifest read as its readers will.</summary>
    /// <exception cref="BackupException">
    /// An object is not there as it was written, or the manifest could not be used; the set does not exist then.
    /// </exception>
    public async Task CommitAsync(Manifest manifest, CancellationToken cancel)
    {
        var bytes = ManifestFormat.Write(manifest);
        // One that is refused later on would be no backup, and would stop every choice of the newest set besides.
        _ = ManifestFormat.Read(bytes, Id);
        foreach (var item in manifest.Objects)
        {
            var found = await _store.StatAsync(RepositoryLayout.InSet(Id, item.Key), cancel);
            if (found?.Size != item.StoredBytes)
            {
                throw new StorageException(
                    $"object {item.Key} of set {Id} was written with {item.StoredBytes} bytes and is {(found is null ? "gone" : $"{found.Size} bytes long")} in store {_store.Name}",
                    "see who else deletes from the store, then run the backup again");
            }
        }

        var sums = string.Concat(manifest.Objects.Select(static o => $"{o.StoredSha256}  {o.Key}\n"));
        await _store.WriteAsync(
            RepositoryLayout.InSet(Id, RepositoryLayout.SumsFile), Encoding.ASCII.GetBytes(sums), WriteMode.CreateNew, cancel);
        await WriteManifestAsync(bytes, cancel);
        _committed = true;
        // A leftover intent beside a manifest means nothing; failing to remove it must not fail a good backup.
        try
        {
            await _store.DeleteAsync(RepositoryLayout.InSet(Id, RepositoryLayout.IntentFile), CancellationToken.None);
        }
        catch (StorageException e)
        {
            _log.Warning("{Message}; the set is good", e.Message);
        }
    }

    private async Task WriteManifestAsync(byte[] bytes, CancellationToken cancel)
    {
        try
        {
            _mayHaveManifest = true;
            await _store.WriteAsync(
                RepositoryLayout.InSet(Id, RepositoryLayout.ManifestFile), bytes, WriteMode.CreateNew, cancel);
        }
        catch (ObjectExistsException)
        {
            _mayHaveManifest = false;
            throw;
        }
    }

    /// <summary>
    /// Says from which position on the set will need WAL, or <see cref="IntentRecord.NoWal"/>: until then a clean-up of the WAL
    /// archive removes nothing.
    /// </summary>
    public Task SayWalFromAsync(string walFrom, CancellationToken cancel)
    {
        _intent = _intent with { WalFrom = walFrom };
        return RefreshIntentAsync(cancel);
    }

    /// <summary>Says that the writer is still at work.</summary>
    public Task RefreshIntentAsync(CancellationToken cancel) => _store.WriteJsonAsync(
        RepositoryLayout.InSet(Id, RepositoryLayout.IntentFile), _intent, RepositoryJson.Default.IntentRecord, WriteMode.Replace, cancel);

    /// <summary>
    /// Says that a set is about to be removed, so that a removal that is killed in its middle is known for one and finished later.
    /// Beside a manifest an intent means nothing.
    /// </summary>
    public static Task BeginRemovalAsync(IObjectStore store, string id, RunLock held, TimeProvider time, CancellationToken cancel) =>
        store.WriteJsonAsync(
            RepositoryLayout.InSet(id, RepositoryLayout.IntentFile),
            IntentOf(held, time) with { WalFrom = IntentRecord.NoWal },
            RepositoryJson.Default.IntentRecord,
            WriteMode.Replace,
            cancel);

    /// <summary>
    /// Removes all of a set: the manifest first, so that it stops to exist before it stops to be whole. What is in folders below
    /// that of the set is no part of it, and stays.
    /// </summary>
    public static async Task RemoveFolderAsync(IObjectStore store, string id, ILogger log, CancellationToken cancel)
    {
        await store.DeleteAsync(RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile), cancel);
        var folder = $"{RepositoryLayout.SetFolder(id)}/";
        var keys = new List<string>();
        string? foreign = null;
        await foreach (var item in store.ListAsync(folder, cancel))
        {
            if (item.Key.IndexOf('/', folder.Length) < 0)
            {
                keys.Add(item.Key);
            }
            else
            {
                foreign ??= item.Key;
            }
        }

        if (foreign is not null)
        {
            log.Warning("folder sets/{Id:l} holds what is no part of a set, which is left as it is: {Key:l}", id, foreign);
        }

        // The intent goes last: while it is there, the folder is known for a leftover.
        foreach (var key in keys.OrderBy(static k => k.EndsWith(RepositoryLayout.IntentFile, StringComparison.Ordinal)))
        {
            await store.DeleteAsync(key, cancel);
        }

        await store.RemoveAbandonedWritesAsync(folder, DateTimeOffset.MaxValue, cancel);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_committed)
        {
            try
            {
                await GiveUpAsync();
            }
            catch (StorageException e)
            {
                _log.Warning("{Message}; set {Id} was not finished and is removed by a later run", e.Message, Id);
            }
        }
    }

    // A manifest that this writer has not even tried to write makes the folder somebody else's set.
    private async Task GiveUpAsync()
    {
        if (!_mayHaveManifest
            && await _store.StatAsync(RepositoryLayout.InSet(Id, RepositoryLayout.ManifestFile), CancellationToken.None) is not null)
        {
            _log.Warning("set {Id} was finished by another run; nothing of it is removed", Id);
            return;
        }

        await RemoveFolderAsync(_store, Id, _log, CancellationToken.None);
    }
}
