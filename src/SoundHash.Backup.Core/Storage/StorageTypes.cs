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

/// <summary>
/// What a store is told about an object besides its bytes, for its storage class, its tags and its lock. A store that has
/// none of them ignores it.
/// </summary>
/// <param name="Tier">The retention class of the set that the object belongs to, or null.</param>
/// <param name="Kind">"logical", "physical" or "wal", or null.</param>
/// <param name="RetainUntil">Where the store is set up to lock objects of the tier: nobody may delete or replace it before; null for none.</param>
public sealed record ObjectAttributes(string? Tier = null, string? Kind = null, DateTimeOffset? RetainUntil = null)
{
    /// <summary>Of an object that nothing is to be told about.</summary>
    public static ObjectAttributes None { get; } = new();
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
public abstract class ObjectWriter : WriteStage
{
    /// <summary>
    /// When bytes last moved on towards the store, as a timestamp of the store's clock; null for a store that has no waits of its
    /// own. Whoever watches for a stall looks at this, since a writer that waits for buffers may be busy sending them.
    /// </summary>
    public virtual long? Moved => null;
}

/// <summary>A store could not be read or written.</summary>
public class StorageException(string message, string? hint = null, Exception? inner = null)
    : BackupException(ErrorKind.Storage, message, hint, inner);

/// <summary>A call of a store failed in a way that may pass: <see cref="StoreRetry"/> tries it again.</summary>
/// <param name="message">What failed.</param>
/// <param name="hint">What to do when it does not pass.</param>
/// <param name="inner">What the store's client said.</param>
/// <param name="isAnswer">The store itself answered so (it is overloaded); false when nothing was heard of it.</param>
/// <param name="retryAfter">How long the store asked to wait, or null.</param>
public sealed class TransientStorageException(
    string message, string? hint = null, Exception? inner = null, bool isAnswer = false, TimeSpan? retryAfter = null)
    : StorageException(message, hint, inner)
{
    /// <summary>The store itself answered so; false when nothing was heard of it.</summary>
    public bool IsAnswer { get; } = isAnswer;

    /// <summary>How long the store asked to wait, or null.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;
}

/// <summary>An object that was to be deleted or replaced is locked by its store until a time; it was not touched.</summary>
public sealed class ObjectLockedException(string store, string key, DateTimeOffset? until) : StorageException(
    $"object {key} is {WordsOf(store, until)}; it was not touched")
{
    /// <summary>Until when, or null where the store does not say.</summary>
    public DateTimeOffset? Until { get; } = until;

    /// <summary>Where and until when it is locked.</summary>
    public string Words { get; } = WordsOf(store, until);

    private static string WordsOf(string store, DateTimeOffset? until) =>
        $"locked in store {store}{(until is { } time ? $" until {time.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC" : string.Empty)}";
}

/// <summary>An object that was to be created exists already; it was not touched.</summary>
public sealed class ObjectExistsException(string store, string key)
    : StorageException($"object {key} already exists in store {store}; it was not touched");

/// <summary>An object that was to be read does not exist.</summary>
public sealed class ObjectMissingException(string store, string key)
    : StorageException($"object {key} is missing in store {store}");
