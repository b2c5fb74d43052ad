using System.Net;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>
/// Makes one object, so that in the end it is known whose it is: an answer that was lost may have been a success, and requests are
/// repeated, by us and by the HTTP client of its own accord when an old connection closes. So whenever the store says that the
/// object exists, its mark tells whether this very write has made it.
/// </summary>
internal sealed class ObjectUpload(GcsCalls calls, GcsObjects objects, GcsTask task, WriteRequests requests, Action moved)
{
    private UploadSession? _session;
    private bool _exists;

    /// <summary>Bytes of the object that have been given to this.</summary>
    public long Sent { get; private set; }

    /// <summary>Sends a chunk that is not the last one; its bytes must stay as they are until this has ended.</summary>
    public async Task AddAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancel)
    {
        var offset = Sent;
        Sent += chunk.Length;
        if (_exists)
        {
            return;
        }

        try
        {
            await calls.RepeatAsync((attempt, token) => SendAsync(new Piece(chunk, offset, null), attempt, token), cancel);
        }
        catch (StorageException e) when (offset == 0 && GcsRefusal.Is(e, HttpStatusCode.PreconditionFailed))
        {
            // Said when the object is completed, as of one that comes into being meanwhile. Nothing more needs to be sent.
            _exists = true;
        }
    }

    /// <summary>Sends the last chunk, and with it makes the object.</summary>
    /// <exception cref="ObjectExistsException">It was to be new, and there is another's.</exception>
    /// <exception cref="ObjectLockedException">The one that was to be replaced is locked.</exception>
    public async Task<GcsObject> FinishAsync(ReadOnlyMemory<byte> chunk, string crc32c, CancellationToken cancel)
    {
        var offset = Sent;
        Sent += chunk.Length;
        if (_exists)
        {
            throw new ObjectExistsException(calls.Options.Name, task.Key);
        }

        var last = new Piece(chunk, offset, (Sent, crc32c));
        return await calls.RepeatAsync((attempt, token) => OwnAsync(last, attempt, token), cancel);
    }

    /// <summary>Gives up what was begun, in one attempt: the store drops by itself what this leaves.</summary>
    public async Task CancelAsync(CancellationToken cancel)
    {
        try
        {
            await (_session?.CancelAsync(cancel) ?? Task.CompletedTask);
        }
        catch (Exception e) when (e is StorageException or OperationCanceledException)
        {
            // 499 is the store's way to say that it is done.
        }
    }

    private async Task<GcsObject> OwnAsync(Piece last, int attempt, CancellationToken cancel)
    {
        try
        {
            return last.Offset == 0 && _session is null ? await SendWholeAsync(last, cancel) : await SendLastAsync(last, attempt, cancel);
        }
        catch (StorageException e) when (GcsRefusal.Is(e, HttpStatusCode.PreconditionFailed))
        {
            return await LookAsync(e, attempt, cancel)
                ?? throw calls.Errors.Passes(task, "the store said that the object exists, and then that it does not", inner: e);
        }
        catch (StorageException e) when (attempt > 0 && GcsRefusal.Is(e, HttpStatusCode.Forbidden, HttpStatusCode.NotFound, HttpStatusCode.Gone))
        {
            // An earlier attempt whose answer was lost may have made it: it is locked then, or its session has ended.
            return await LookAsync(e, attempt, cancel) ?? throw Refused(e);
        }
        catch (StorageException e) when (last.Offset > 0 && GcsErrors.IsDamage(e))
        {
            // Earlier chunks are no longer in memory.
            var why = e.InnerException!;
            throw calls.Errors.Failed(task, $"the store refused the object, whose bytes were damaged on the way: {why.Message}", "run this again", why);
        }
        catch (StorageException e) when (GcsErrors.IsLocked(e))
        {
            throw Refused(e);
        }
    }

    private Task<GcsObject> SendWholeAsync(Piece last, CancellationToken cancel) => calls.OnceAsync(
        task,
        guard => requests.Whole(last.Bytes, last.End!.Value.Crc32c, () =>
        {
            guard.Moved();
            moved();
        }),
        async (response, guard) => GcsObjects.Parse(await GcsCalls.BytesAsync(response, guard)),
        cancel);

    private async Task<GcsObject> SendLastAsync(Piece last, int attempt, CancellationToken cancel) =>
        await SendAsync(last, attempt, cancel) ?? throw calls.Errors.Passes(task, "the store has all bytes and has not made the object");

    // Sends what the store does not have yet of a piece; only after a failure it has to be asked for that.
    private async Task<GcsObject?> SendAsync(Piece piece, int attempt, CancellationToken cancel)
    {
        try
        {
            var isKnown = attempt == 0 || _session is null;
            var session = _session ??= await UploadSession.BeginAsync(calls, task, requests, cancel);
            var progress = isKnown ? new UploadProgress(piece.Offset, null) : await session.AskAsync(cancel);
            // Of the last one the store may have all bytes, and still has to be told that they are all.
            while (progress.Finished is null && (piece.End is not null || progress.Received < piece.Stop))
            {
                progress = await SendRestAsync(session, piece, progress.Received, cancel);
            }

            return progress.Finished;
        }
        catch (StorageException e) when (piece.Offset == 0 && GcsRefusal.Is(e, HttpStatusCode.NotFound, HttpStatusCode.Gone) && _session is not null)
        {
            // The session is gone, and all that it had is still in memory.
            _session = null;
            throw calls.Errors.Passes(task, "the upload session has ended before its time", inner: e);
        }
    }

    private async Task<UploadProgress> SendRestAsync(UploadSession session, Piece piece, long from, CancellationToken cancel)
    {
        var rest = piece.From(from) ?? throw calls.Errors.Failed(
            task, $"the store has {from} bytes of the object, and {piece.Offset} to {piece.Stop} were sent", "run this again");
        var progress = await session.SendAsync(rest, from, piece.End, moved, cancel);
        moved();
        return progress.Finished is null && progress.Received <= from
            ? throw calls.Errors.Passes(task, $"the store took none of {rest.Length} bytes")
            : progress;
    }

    // The object when this write has made it, null when there is none, and otherwise what the store's answer comes to.
    private async Task<GcsObject?> LookAsync(StorageException refused, int attempt, CancellationToken cancel)
    {
        GcsObject? found;
        try
        {
            found = await objects.StatOnceAsync(task, cancel);
        }
        catch (StorageException e) when (GcsRefusal.Is(e, HttpStatusCode.Forbidden))
        {
            throw CannotTell(refused, attempt);
        }

        return found is null || requests.IsOurs(found) ? found : throw Refused(refused);
    }

    // Nothing but the first attempt is sure not to have met its own object.
    private StorageException CannotTell(StorageException refused, int attempt) =>
        attempt == 0 || !GcsRefusal.Is(refused, HttpStatusCode.PreconditionFailed)
        ? Refused(refused)
        : calls.Errors.Failed(
            task,
            "an answer was lost, and now the object exists: whether this write or another made it can't be told, since these credentials may not look at it",
            "allow storage.objects.get on the bucket, or look with other credentials whether the object is right",
            refused);

    private StorageException Refused(StorageException e)
    {
        if (GcsRefusal.Is(e, HttpStatusCode.PreconditionFailed))
        {
            return new ObjectExistsException(calls.Options.Name, task.Key);
        }

        return GcsErrors.IsLocked(e) ? new ObjectLockedException(calls.Options.Name, task.Key, until: null) : e;
    }

    /// <summary>A part of the object.</summary>
    /// <param name="Bytes">Its bytes.</param>
    /// <param name="Offset">Where in the object it begins.</param>
    /// <param name="End">The object's size and checksum when it ends with this.</param>
    private readonly record struct Piece(ReadOnlyMemory<byte> Bytes, long Offset, (long Size, string Crc32c)? End)
    {
        public long Stop => Offset + Bytes.Length;

        /// <summary>What of it comes from an offset on, or null when that is outside.</summary>
        // Without its type, null would become no bytes.
        public ReadOnlyMemory<byte>? From(long at) => at >= Offset && at <= Stop ? Bytes[(int)(at - Offset)..] : (ReadOnlyMemory<byte>?)null;
    }
}
