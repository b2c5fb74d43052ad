using Amazon.S3.Model;

namespace SoundHash.Backup.Storage.S3;

/// <summary>
/// An object that is being written: one request when it fits into the first part, and otherwise an upload whose parts are sent side
/// by side while the next one is filled. Memory is bounded by parts in flight × part size.
/// </summary>
internal sealed class S3ObjectWriter : ObjectWriter
{
    private const int SmallBuffer = 64 * 1024;
    private const int LargestSmallBuffer = 1024 * 1024;
    private const int PatienceToFinish = 5;
    private static readonly TimeSpan AbortLimit = TimeSpan.FromSeconds(10);

    private readonly S3Parts _store;
    private readonly S3Options _options;
    private readonly S3Task _task;
    private readonly S3Requests _requests;
    private readonly S3Commit _commit;
    private readonly PartQueue _parts;
    private string? _uploadId;
    private byte[]? _buffer;
    private int _filled;
    private long _sent;
    private bool _published;
    private bool _disposed;
    private long _moved;

    public S3ObjectWriter(S3Parts store, string key, WriteMode mode, ObjectAttributes attributes)
    {
        _store = store;
        _options = store.Calls.Options;
        _task = new S3Task("write", key);
        _requests = new S3Requests(_options, store.Calls.FullKey(key), attributes);
        _commit = new S3Commit(store, key, mode, _requests);
        _parts = new PartQueue(_options.PartsInFlight, SendPartAsync);
        HasMoved();
    }

    /// <inheritdoc/>
    public override long? Moved => Volatile.Read(ref _moved);

    private int PartSize => PartSizes.Next(_options.PartSize, _sent);

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            // A full part waits for one more byte: it may be the last one, and then it needs no upload in parts.
            if (_buffer is not null && _filled == PartSize)
            {
                await PassOnAsync(cancellationToken);
            }

            var room = await RoomAsync(buffer.Length, cancellationToken);
            buffer[..room.Length].CopyTo(room);
            _filled += room.Length;
            buffer = buffer[room.Length..];
        }
    }

    /// <inheritdoc/>
    public override async Task CompleteAsync(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        if (_uploadId is null)
        {
            var body = new PartBody(_buffer ?? [], _filled);
            await _commit.PublishAsync(_filled, inParts: false, (onlyNew, token) => PutAsync(body, onlyNew, token), cancel);
        }
        else
        {
            await PassOnAsync(cancel);
            var parts = await _parts.AllAsync(cancel);
            await _commit.PublishAsync(_sent, inParts: true, (onlyNew, token) => FinishAsync(parts, onlyNew, token), cancel);
        }

        _published = true;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _parts.DisposeAsync();
        _buffer = null;
        if (_uploadId is not null && !_published)
        {
            await AbortAsync(_uploadId);
        }
    }

    // Small objects get small buffers: most objects are. Those that grow out of them get a whole one at once, since what is outgrown
    // stays in memory for long.
    private async Task<Memory<byte>> RoomAsync(int wanted, CancellationToken cancel)
    {
        var part = PartSize;
        var needed = (int)Math.Min((long)_filled + wanted, part);
        var small = Math.Max(needed, Math.Max(SmallBuffer, _filled * 2));
        var size = _uploadId is null && small <= LargestSmallBuffer ? Math.Min(part, small) : part;
        if (_buffer is null)
        {
            _buffer = await _parts.RentAsync(size, cancel);
        }
        else if (_buffer.Length < needed)
        {
            var larger = GC.AllocateUninitializedArray<byte>(size);
            _buffer.AsSpan(0, _filled).CopyTo(larger);
            _buffer = larger;
        }

        return _buffer.AsMemory(_filled, Math.Min(_buffer.Length, part) - _filled)[..Math.Min(wanted, Math.Min(_buffer.Length, part) - _filled)];
    }

    private async Task PassOnAsync(CancellationToken cancel)
    {
        if (_buffer is null)
        {
            return;
        }

        if (_parts.Count == PartSizes.MostParts)
        {
            throw _store.Calls.Errors.Failed(_task, $"the object is larger than what {PartSizes.MostParts} parts hold", "begin with larger parts");
        }

        _uploadId ??= await BeginAsync(cancel);
        _parts.Send(_buffer, _filled);
        _sent += _filled;
        _buffer = null;
        _filled = 0;
    }

    private async Task<string> BeginAsync(CancellationToken cancel)
    {
        var begun = await _store.Calls.RunAsync(
            _task, (client, guard) => client.InitiateMultipartUploadAsync(_requests.Begin(), guard.Token), cancel);
        HasMoved();
        return string.IsNullOrEmpty(begun.UploadId) ? throw _store.Calls.Errors.Failed(_task, "the store began no upload") : begun.UploadId;
    }

    private Task<PartETag> SendPartAsync(int number, PartBody body, CancellationToken cancel) => _store.Calls.RepeatAsync(
        async token =>
        {
            var answer = await _store.Calls.OnceAsync(
                _task,
                (client, guard) => client.UploadPartAsync(_requests.Part(_uploadId!, number, body, () => HasMoved(guard)), guard.Token),
                token);
            HasMoved();
            if (string.IsNullOrEmpty(answer.ETag) || StoredChecksum.Differs(answer.ETag, answer.ServerSideEncryptionMethod, body))
            {
                throw _store.Calls.Errors.Passes(_task, $"the store took other bytes for part {number} than were sent: its ETag is {answer.ETag}, their MD5 {body.Md5Hex}");
            }

            return new PartETag(number, answer.ETag);
        },
        cancel);

    private async Task PutAsync(PartBody body, bool onlyNew, CancellationToken cancel)
    {
        var answer = await _store.Calls.OnceAsync(
            _task, (client, guard) => client.PutObjectAsync(_requests.Put(body, onlyNew, () => HasMoved(guard)), guard.Token), cancel);
        HasMoved();
        if (StoredChecksum.Differs(answer.ETag, answer.ServerSideEncryptionMethod, body))
        {
            // Sending it again would find the damaged object in its way, and take it for its own.
            throw _store.Calls.Errors.Failed(
                _task,
                $"the store keeps other bytes than were sent: its ETag is {answer.ETag}, their MD5 {body.Md5Hex}",
                "delete that object, and run this again");
        }
    }

    private async Task FinishAsync(List<PartETag> parts, bool onlyNew, CancellationToken cancel)
    {
        CompleteMultipartUploadResponse answer;
        try
        {
            answer = await _store.Calls.OnceAsync(
                _task with { Patience = PatienceToFinish },
                (client, guard) => client.CompleteMultipartUploadAsync(_requests.Complete(_uploadId!, parts, onlyNew), guard.Token),
                cancel);
        }
        catch (StorageException e) when (S3Errors.Status(e) == 404)
        {
            // An earlier attempt whose answer was lost has completed it, or somebody gave it up.
            if (await _commit.IsOursAsync(_sent, cancel))
            {
                return;
            }

            throw;
        }

        HasMoved();
        if (string.IsNullOrEmpty(answer.ETag))
        {
            throw _store.Calls.Errors.Failed(_task, "the store answered to the completion without saying what it made (no ETag)", "run this again");
        }
    }

    // One attempt: what it leaves, the removal of abandoned writes takes.
    private async Task AbortAsync(string uploadId)
    {
        using var limit = new CancellationTokenSource(AbortLimit, _options.Time);
        try
        {
            await _store.Calls.OnceAsync(_task, (client, guard) => client.AbortMultipartUploadAsync(_requests.Abort(uploadId), guard.Token), limit.Token);
        }
        catch (Exception e) when (e is StorageException or OperationCanceledException)
        {
            // Nothing of it is visible.
        }
    }

    private void HasMoved(StallGuard guard)
    {
        guard.Moved();
        HasMoved();
    }

    private void HasMoved() => Volatile.Write(ref _moved, _options.Time.GetTimestamp());
}
