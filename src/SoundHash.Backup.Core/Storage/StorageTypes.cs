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

/// <summary>What differs between stores.</summary>
/// <param name="ConditionalCreate">CreateNew is decided by the store itself, without a gap between look and write.</param>
public sealed record StoreCapabilities(bool ConditionalCreate);

/// <summary>
/// The last stage of a write pipeline: an object that is being written. CompleteAsync publishes it; when that throws
/// anything but a cancellation, nothing has become visible.
/// </summary>
public abstract class ObjectWriter : WriteStage
{
    /// <summary>The key under which the object will appear.</summary>
    public abstract string Key { get; }
}

/// <summary>A store could not be read or written.</summary>
public class StorageException(string message, string? hint = null, Exception? inner = null)
    : BackupException(ErrorKind.Storage, message, hint, inner);

/// <summary>An object that was to be created exists already; it was not touched.</summary>
public sealed class ObjectExistsException(string store, string key)
    : StorageException($"object {key} already exists in store {store}; it was not touched");

/// <summary>An object that was to be read does not exist.</summary>
public sealed class ObjectMissingException(string store, string key)
    : StorageException($"object {key} is missing in store {store}");
