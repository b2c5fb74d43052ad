using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Pins sets by keep.json beside the manifest, which is never rewritten.</summary>
public static class SetPin
{
    /// <summary>Pins or unpins a set; doing it again changes nothing.</summary>
    public static async Task SetAsync(IObjectStore store, string id, bool pinned, TimeProvider time, CancellationToken cancel)
    {
        var key = RepositoryLayout.InSet(id, RepositoryLayout.KeepFile);
        if (!pinned)
        {
            await store.DeleteAsync(key, cancel);
            return;
        }

        try
        {
            await store.WriteJsonAsync(key, new KeepRecord(time.GetUtcNow()), RepositoryJson.Default.KeepRecord, WriteMode.CreateNew, cancel);
        }
        catch (ObjectExistsException)
        {
            // It is pinned already, which is what was asked for.
            return;
        }
    }
}
