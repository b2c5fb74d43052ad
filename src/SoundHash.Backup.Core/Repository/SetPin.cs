using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Pins sets by keep.json beside the manifest, which is never rewritten.</summary>
public static class SetPin
{
    /// <summary>
    /// Pins or unpins a set; doing it again changes nothing. The order of the steps of a pin, together with the one in
    /// <see cref="Expiry"/>, makes a set that is pinned here one that stays.
    /// </summary>
    /// <exception cref="BackupException">The set was removed while it was pinned.</exception>
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
            await store.WriteJsonAsync(
                key,
                new KeepRecord(time.GetUtcNow()),
                RepositoryJson.Default.KeepRecord,
                WriteMode.CreateNew,
                cancel);
        }
        catch (ObjectExistsException)
        {
            // It is pinned already, which is what was asked for.
        }

        if (await store.StatAsync(RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile), cancel) is null)
        {
            await store.DeleteAsync(key, CancellationToken.None);
            throw new BackupException(
                ErrorKind.Failed, $"set {id} was removed while it was being pinned", "shbackup backup list shows what there is");
        }
    }
}
