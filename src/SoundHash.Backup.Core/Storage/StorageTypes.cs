using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Storage;

/// <summary>What happens when the key of a new object exists.</summary>
public enum WriteMode
{
    /// <summary>The commit fails and the existing object stays untouched.</summary>
    CreateNew,

    /// <summary>The commit replaces it at once.</summary>
    Replace,
}

/// <summary>An object as a store lists it.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Size">Stored bytes.</param>
/// <param name="Modified">When the store last committed it, by the store's clock.</param>
public sealed record ObjectInfo(string Key, long Size, DateTimeOffset Modified);

/// <summary>
/// The last stage of a write pipeline: an object that is being written. What its CompleteAsync promises:
/// - When it has returned, the object is there, whole and durable.
/// - <see cref="ObjectExistsException"/>: the object that was there is untouched, and durable.
/// - Cancelled, or any other error: the object is there whole or not at all, and may not be durable. Most errors come before
///   it becomes visible, but not all can: the very last step (of a local store to sync the directory, of another one to read
///   the answer) may fail when it has. So after an error the caller must not go on as if there were no object.
/// Disposing it never throws for what it leaves; <see cref="IObjectStore.RemoveAbandonedWritesAsync"/> takes that.
/// </summary>
public abstract class ObjectWriter : WriteStage;

/// <summary>A store could not be read or written.</summary>
public class StorageException(string message, string? hint = null, Exception? inner = null)
    : BackupException(ErrorKind.Storage, message, hint, inner);

/// <summary>An object that was to be created exists already; it was not touched.</summary>
public sealed class ObjectExistsException(string store, string key)
    : StorageException($"object {key} already exists in store {store}; it was not touched");

/// <summary>An object that was to be read does not exist.</summary>
public sealed class ObjectMissingException(string store, string key)
    : StorageException($"object {key} is missing in store {store}");
