using Amazon.Runtime;

namespace SoundHash.Backup.Storage.S3;

/// <summary>
/// A store in a bucket of AWS S3 or of a store that speaks its protocol, strict ones included. An object is made by one request or
/// by the completion of an upload in parts, either of which makes it whole or not at all.
/// </summary>
public sealed class S3ObjectStore : IObjectStore, IDisposable
{
    private readonly S3Calls _calls;
    private readonly S3Parts _parts;
    private readonly S3Objects _objects;
    private readonly S3Listing _listing;
    private readonly S3Locks _locks;

    /// <summary>Opens a store; nothing is asked of it yet.</summary>
    public S3ObjectStore(S3Options options)
        : this(options, credentials: null)
    {
    }

    /// <summary>The same with credentials that a test has; null for the SDK's own chain.</summary>
    internal S3ObjectStore(S3Options options, AWSCredentials? credentials)
    {
        _calls = new S3Calls(options, credentials);
        _objects = new S3Objects(_calls);
        _locks = new S3Locks(_calls, _objects);
        _parts = new S3Parts(_calls, _objects, _locks, new ConditionalProbe(_calls), new KeyGates());
        _listing = new S3Listing(_calls);
    }

    /// <inheritdoc/>
    public string Name => _calls.Options.Name;

    /// <summary>What is known of the store's conditional writes; whoever remembers it spares the next process the trial.</summary>
    public ConditionalWrites ConditionalWrites => _parts.Probe.Known;

    /// <summary>Finds out whether the store honours conditional writes, which may take two requests.</summary>
    public Task<ConditionalWrites> KnowConditionalWritesAsync(CancellationToken cancel) => _parts.Probe.KnowAsync(cancel);

    /// <inheritdoc/>
    public Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        return Task.FromResult<ObjectWriter>(new S3ObjectWriter(_parts, ObjectKey.Check(key), mode, attributes));
    }

    /// <inheritdoc/>
    public Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel) =>
        _objects.OpenAsync(ObjectKey.Check(key), offset, cancel);

    /// <inheritdoc/>
    public async Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel) =>
        await _objects.HeadAsync(ObjectKey.Check(key), cancel) is { } found ? S3Objects.Describe(key, found) : null;

    /// <inheritdoc/>
    public Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel) => StatAsync(key, cancel);

    /// <inheritdoc/>
    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, CancellationToken cancel) => _listing.ObjectsAsync(prefix, cancel);

    /// <inheritdoc/>
    public async Task DeleteAsync(string key, CancellationToken cancel)
    {
        await _locks.CheckDeletedAsync(ObjectKey.Check(key), cancel);
        var request = new Amazon.S3.Model.DeleteObjectRequest { BucketName = _calls.Options.Bucket, Key = _calls.FullKey(key) };
        try
        {
            await _calls.RunAsync(new S3Task("delete", key), (client, guard) => client.DeleteObjectAsync(request, guard.Token), cancel);
        }
        catch (StorageException e) when (S3Errors.Is(e, "NoSuchKey"))
        {
            // Some stores say so where AWS says that all is well.
        }
    }

    /// <inheritdoc/>
    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) => _locks.RetainAsync(ObjectKey.Check(key), attributes, cancel);

    /// <inheritdoc/>
    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel) =>
        _listing.AbortOldUploadsAsync(prefix, olderThan, cancel);

    /// <inheritdoc/>
    public Task<long?> FreeBytesAsync(CancellationToken cancel) => Task.FromResult<long?>(null);

    /// <summary>Closes its connections.</summary>
    public void Dispose()
    {
        _calls.Dispose();
        _parts.Probe.Dispose();
        _parts.Gates.Dispose();
        _locks.Dispose();
    }
}
