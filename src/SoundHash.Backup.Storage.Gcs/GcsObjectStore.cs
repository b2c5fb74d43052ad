namespace SoundHash.Backup.Storage.Gcs;

/// <summary>
/// A store in a bucket of Google Cloud Storage, by its JSON API. An object is made by one request or by the last one of a resumable
/// session, either of which makes it whole or not at all. Writing needs storage.objects.create and nothing else.
/// </summary>
public sealed class GcsObjectStore : IObjectStore, IDisposable
{
    private readonly GcsCalls _calls;
    private readonly GcsObjects _objects;
    private readonly GcsListing _listing;
    private readonly GcsLocks _locks;

    /// <summary>Opens a store; nothing is asked of it yet.</summary>
    /// <exception cref="StorageException">The size of a chunk can't be sent.</exception>
    public GcsObjectStore(GcsOptions options)
        : this(options, tokens: null)
    {
    }

    /// <summary>The same with tokens that a test has; null for application-default credentials.</summary>
    internal GcsObjectStore(GcsOptions options, IAccessTokens? tokens)
    {
        _calls = new GcsCalls(options, tokens);
        _objects = new GcsObjects(_calls);
        _listing = new GcsListing(_calls);
        _locks = new GcsLocks(_calls, _objects);
    }

    /// <inheritdoc/>
    public string Name => _calls.Options.Name;

    /// <inheritdoc/>
    public Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        return Task.FromResult<ObjectWriter>(new GcsObjectWriter(_calls, _objects, ObjectKey.Check(key), mode, attributes));
    }

    /// <inheritdoc/>
    public Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel) => _objects.OpenAsync(ObjectKey.Check(key), offset, cancel);

    /// <inheritdoc/>
    public async Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel) =>
        await _objects.StatAsync(new GcsTask("read", ObjectKey.Check(key)), cancel) is { } found ? GcsObjects.Describe(key, found) : null;

    /// <inheritdoc/>
    public Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel) => StatAsync(key, cancel);

    /// <inheritdoc/>
    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, CancellationToken cancel) => _listing.ObjectsAsync(prefix, cancel);

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancel) => _locks.DeleteAsync(ObjectKey.Check(key), cancel);

    /// <inheritdoc/>
    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) => _locks.RetainAsync(ObjectKey.Check(key), attributes, cancel);

    /// <summary>
    /// Does nothing: sessions that were never completed can't be listed, cost nothing, and are dropped by Google after a week. The
    /// writers that left them can still complete them until then.
    /// </summary>
    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task<long?> FreeBytesAsync(CancellationToken cancel) => Task.FromResult<long?>(null);

    /// <summary>Closes its connections.</summary>
    public void Dispose() => _calls.Dispose();
}
