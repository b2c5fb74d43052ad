namespace SoundHash.Backup.Storage;

/// <summary>
/// A place that keeps objects under keys. This page and the contract tests are all that the author of a store needs.
///
/// Keys are relative, '/'-separated, made of letters, digits, '.', '_' and '-'; no segment is empty, "." or "..".
///
/// Guarantees that every store gives:
/// - An object appears whole or not at all, and only when its writer was committed. What was replaced is seen until then.
/// - Read after write: once a commit or delete has returned, every read, stat and list sees it.
/// - When a commit has returned, the object survives a crash of the machine (durable).
/// - Errors are BackupExceptions of kind Storage; a missing object is null from <see cref="StatAsync"/> and
///   <see cref="ObjectMissingException"/> from <see cref="OpenReadAsync"/>.
/// All members may be used from several threads at once. A store that is not on this machine tries what may pass again itself
/// (<see cref="StoreRetry"/>): only it knows what it can send once more, a part and not the object. So an error is final.
/// </summary>
public interface IObjectStore
{
    /// <summary>The store's name in messages and results, e.g. "local".</summary>
    string Name { get; }

    /// <summary>
    /// Begins an object whose length is not known yet. Nothing is visible under the key before
    /// <see cref="Pipelines.WriteStage.CompleteAsync"/> of the writer is called; disposing it without that leaves nothing.
    /// With <see cref="WriteMode.CreateNew"/>, completing throws <see cref="ObjectExistsException"/> when the key exists.
    /// What else completing promises: <see cref="ObjectWriter"/>.
    /// </summary>
    Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel);

    /// <summary>Opens an object for reading, forwards only, from an offset in bytes to its end.</summary>
    Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel);

    /// <summary>Size and time of an object, or null when there is none.</summary>
    Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel);

    /// <summary>
    /// Makes sure that an object that is there survives a crash of the machine, and returns what <see cref="StatAsync"/> does.
    /// That it is seen does not say so: its writer may have been killed in its very last step. Whoever takes what is there
    /// already for a success calls this first.
    /// </summary>
    Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel);

    /// <summary>
    /// All objects whose key begins with the prefix (a string prefix, not a folder), in no certain order.
    /// Objects being written are not listed. What can't be looked into is an error and never an empty list.
    /// </summary>
    IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, CancellationToken cancel);

    /// <summary>
    /// Deletes an object; deleting one that is not there is no error. One that the store keeps locked is not touched:
    /// <see cref="ObjectLockedException"/>.
    /// </summary>
    Task DeleteAsync(string key, CancellationToken cancel);

    /// <summary>
    /// Sees to it that nobody can delete or replace an object before <see cref="ObjectAttributes.RetainUntil"/>; never shortens what
    /// it is locked for already. Does nothing in a store that is not set up to lock objects of that tier.
    /// </summary>
    Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel);

    /// <summary>
    /// Removes what writers that never committed have left under a key prefix and last touched before a time. Only
    /// safe for prefixes whose writers are known to be gone.
    /// </summary>
    Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel);

    /// <summary>Bytes that can still be written, or null where there is no limit to be seen.</summary>
    Task<long?> FreeBytesAsync(CancellationToken cancel);
}

/// <summary>Calls of a store in a shorter form.</summary>
public static class ObjectStoreCalls
{
    /// <summary>Begins an object that the store is to be told nothing about.</summary>
    public static Task<ObjectWriter> OpenWriteAsync(this IObjectStore store, string key, WriteMode mode, CancellationToken cancel) =>
        store.OpenWriteAsync(key, mode, ObjectAttributes.None, cancel);
}
