using Amazon.S3;
using Amazon.S3.Model;

namespace SoundHash.Backup.Storage.S3;

/// <summary>What every writer of one store shares.</summary>
/// <param name="Calls">Its requests.</param>
/// <param name="Objects">Looks at objects.</param>
/// <param name="Locks">Knows what is locked.</param>
/// <param name="Probe">What is known of its conditional writes.</param>
/// <param name="Gates">Keeps writers of this process from each other where the store does not.</param>
internal sealed record S3Parts(S3Calls Calls, S3Objects Objects, S3Locks Locks, ConditionalProbe Probe, KeyGates Gates);

/// <summary>
/// Makes one object visible, so that in the end it is known whose the object is: an answer that was lost may have been a success,
/// and requests are repeated, by us and by the HTTP client of its own accord when an old connection closes. So whenever an object
/// turns out to exist, its mark tells whether this very write made it.
/// </summary>
internal sealed class S3Commit(S3Parts store, string key, WriteMode mode, S3Requests requests)
{
    private S3Task Task => new("write", key);

    // A store other than AWS that honours conditions was tried with one request; it may still ignore them when parts are completed.
    private bool IsForeign => store.Calls.Options.Endpoint is not null;

    /// <summary>Publishes by a request that may be sent several times.</summary>
    /// <param name="size">The object's bytes.</param>
    /// <param name="inParts">It completes an upload in parts.</param>
    /// <param name="send">Sends it once, on the condition that the object is new or not.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task PublishAsync(long size, bool inParts, Func<bool, CancellationToken, Task> send, CancellationToken cancel)
    {
        if (mode is WriteMode.Replace)
        {
            await store.Locks.CheckReplacedAsync(key, cancel);
            await RepeatAsync(token => send(false, token), cancel);
        }
        else if (await store.Probe.KnowAsync(cancel) is ConditionalWrites.Honoured && !(inParts && IsForeign))
        {
            await RepeatAsync(token => SendNewAsync(size, send, token), cancel);
        }
        else
        {
            using var gate = await store.Gates.EnterAsync(key, cancel);
            await RepeatAsync(token => LookAndSendAsync(size, send, token), cancel);
        }
    }

    /// <summary>True when the object is there and this write made it.</summary>
    /// <exception cref="StorageException">It can't be told, or the object is not what was sent.</exception>
    public async Task<bool> IsOursAsync(long size, CancellationToken cancel) => await LookAsync(cancel) is { } found && IsOurs(found, size);

    private Task<bool> RepeatAsync(Func<CancellationToken, Task> attempt, CancellationToken cancel) => store.Calls.RepeatAsync(
        async token =>
        {
            await attempt(token);
            return true;
        },
        cancel);

    private async Task SendNewAsync(long size, Func<bool, CancellationToken, Task> send, CancellationToken cancel)
    {
        try
        {
            await send(true, cancel);
        }
        catch (StorageException e) when (S3Errors.Status(e) == 412)
        {
            var found = await LookAsync(cancel)
                ?? throw store.Calls.Errors.Passes(Task, "the store said that it exists, and then that it does not", inner: e);
            if (!IsOurs(found, size))
            {
                throw new ObjectExistsException(store.Calls.Options.Name, key);
            }
        }
    }

    // For stores without conditional writes: two processes that write at the same moment can't be told from one after the other.
    private async Task LookAndSendAsync(long size, Func<bool, CancellationToken, Task> send, CancellationToken cancel)
    {
        if (await LookIfAllowedAsync(cancel) is { } found)
        {
            if (!IsOurs(found, size))
            {
                throw new ObjectExistsException(store.Calls.Options.Name, key);
            }

            return;
        }

        if (store.Probe.Known is ConditionalWrites.Unsupported)
        {
            await send(false, cancel);
            return;
        }

        try
        {
            await SendNewAsync(size, send, cancel);
        }
        catch (StorageException e) when (S3Errors.Status(e) == 501 || S3Errors.Is(e, "NotImplemented"))
        {
            store.Probe.Learn(ConditionalWrites.Unsupported);
            await send(false, cancel);
        }
    }

    private async Task<GetObjectMetadataResponse?> LookIfAllowedAsync(CancellationToken cancel)
    {
        try
        {
            return await LookAsync(cancel);
        }
        catch (StorageException e) when (store.Probe.Known is ConditionalWrites.Honoured && e.InnerException is StorageException inner && S3Errors.IsDenied(inner))
        {
            // Keys that may only write: the condition has to do.
            return null;
        }
    }

    private async Task<GetObjectMetadataResponse?> LookAsync(CancellationToken cancel)
    {
        try
        {
            return await store.Objects.HeadOnceAsync(key, cancel);
        }
        catch (StorageException e) when (S3Errors.IsDenied(e))
        {
            throw store.Calls.Errors.Failed(
                Task,
                "whether it exists already, made by this write or by another, can't be told: these credentials may not look at it (HEAD is denied)",
                "allow s3:GetObject on the prefix, or look with other credentials whether the object is right",
                e);
        }
    }

    private bool IsOurs(GetObjectMetadataResponse found, long size)
    {
        if (found.Metadata[S3Requests.WriteIdName] != requests.WriteId)
        {
            return false;
        }

        return found.ContentLength == size
            ? true
            : throw store.Calls.Errors.Failed(Task, $"the object has {found.ContentLength} bytes, and {size} were sent", "delete it, and run this again");
    }
}

/// <summary>What a store says of the bytes that it took.</summary>
internal static class StoredChecksum
{
    /// <summary>True when an ETag is the MD5 of other bytes than these. With keys of KMS, an ETag is no MD5.</summary>
    public static bool Differs(string? etag, ServerSideEncryptionMethod? encryption, PartBody body)
    {
        var value = etag?.Trim('"') ?? string.Empty;
        return value.Length == 32
            && value.All(char.IsAsciiHexDigit)
            && (encryption is null || string.IsNullOrEmpty(encryption.Value) || encryption == ServerSideEncryptionMethod.AES256)
            && !value.Equals(body.Md5Hex, StringComparison.OrdinalIgnoreCase);
    }
}
