using Serilog;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Removes sets from a store, whole or half written.</summary>
public static class SetRemoval
{
    /// <summary>
    /// Says that a set is about to be removed, so that a removal that is killed in its middle is known for one and finished later.
    /// Beside a manifest an intent means nothing.
    /// </summary>
    public static Task BeginAsync(IObjectStore store, string id, RunLock held, TimeProvider time, CancellationToken cancel) =>
        store.WriteJsonAsync(
            RepositoryLayout.InSet(id, RepositoryLayout.IntentFile),
            IntentRecord.Of(held, time) with { WalFrom = IntentRecord.NoWal },
            RepositoryJson.Default.IntentRecord,
            WriteMode.Replace,
            cancel);

    /// <summary>
    /// Removes all of a set: the manifest first, so that it stops to exist before it stops to be whole. What is in folders below
    /// that of the set is no part of it, and stays. So does what the store keeps locked, with the intent, so that a later run goes on with it.
    /// </summary>
    /// <exception cref="ObjectLockedException">The manifest is locked; nothing was removed.</exception>
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

        var intent = RepositoryLayout.InSet(id, RepositoryLayout.IntentFile);
        var locked = new List<ObjectLockedException>();
        foreach (var key in keys.Where(k => k != intent))
        {
            try
            {
                await store.DeleteAsync(key, cancel);
            }
            catch (ObjectLockedException e)
            {
                locked.Add(e);
            }
        }

        if (locked.Count > 0)
        {
            log.Warning(
                "{Count} objects of set {Id:l}, which is no set any more or never was one, stay until a later run: {Words:l}",
                locked.Count,
                id,
                locked.MaxBy(static e => e.Until)!.Words);
            await SayNoWalAsync(store, intent, log, cancel);
        }
        else if (keys.Contains(intent))
        {
            // It goes last: while it is there, the folder is known for a leftover.
            await store.DeleteAsync(intent, cancel);
        }

        await store.RemoveAbandonedWritesAsync(folder, DateTimeOffset.MaxValue, cancel);
    }

    // Of what will never be a set no WAL is needed; its intent may have said so of a base backup, and stays for long.
    private static async Task SayNoWalAsync(IObjectStore store, string key, ILogger log, CancellationToken cancel)
    {
        try
        {
            if (await store.ReadJsonAsync(key, RepositoryJson.Default.IntentRecord, cancel) is { } intent && intent.WalFrom != IntentRecord.NoWal)
            {
                await store.WriteJsonAsync(key, intent with { WalFrom = IntentRecord.NoWal }, RepositoryJson.Default.IntentRecord, WriteMode.Replace, cancel);
            }
        }
        catch (Errors.BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Warning("{Message:l}; until it is removed, a clean-up of the WAL archive may keep more than is needed", e.Message);
        }
    }
}
