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
}
