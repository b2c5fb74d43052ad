using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>Looks at objects and reads them.</summary>
internal sealed class GcsObjects(GcsCalls calls)
{
    /// <summary>An object as an answer describes it.</summary>
    public static GcsObject Parse(ReadOnlyMemory<byte> json) =>
        JsonSerializer.Deserialize(json.Span, GcsJson.Default.GcsObject) ?? throw new JsonException("it is null");

    /// <summary>An object as the store's callers see it.</summary>
    public static ObjectInfo Describe(string key, GcsObject found) => new(key, found.Size ?? 0, found.TimeCreated ?? DateTimeOffset.UnixEpoch);

    /// <summary>What the store says of an object, or null when there is none.</summary>
    public Task<GcsObject?> StatAsync(GcsTask task, CancellationToken cancel) => calls.RepeatAsync((_, token) => StatOnceAsync(task, token), cancel);

    /// <summary>The same in one attempt.</summary>
    public async Task<GcsObject?> StatOnceAsync(GcsTask task, CancellationToken cancel)
    {
        try
        {
            return await calls.JsonOnceAsync(
                task,
                () => new HttpRequestMessage(HttpMethod.Get, calls.ObjectUri(task.Key, $"fields={Uri.EscapeDataString(GcsObject.Fields)}")),
                GcsJson.Default.GcsObject,
                cancel);
        }
        catch (StorageException e) when (GcsErrors.IsMissingObject(e, task))
        {
            return null;
        }
    }

    /// <summary>Opens an object from an offset in bytes to its end; one version of it, however often the connection breaks.</summary>
    public async Task<Stream> OpenAsync(string key, long offset, CancellationToken cancel)
    {
        var task = new GcsTask("read", key);
        try
        {
            var first = await calls.RepeatAsync((_, token) => GetAsync(task, offset, generation: null, token), cancel);
            var resumed = new ResumingRead(first.Body, offset, first.Size, new ResumeRules(
                (at, token) => ReopenAsync(task, at, first, token),
                e => calls.Errors.Of(e, task),
                calls.Options.Stall,
                calls.Options.FirstWait,
                calls.Options.Time));
            return offset == 0 && first.Crc32c is { } sum
                ? new ChecksumReadStage(resumed, sum, actual => calls.Errors.Failed(
                    task, $"its {first.Size} bytes came with crc32c {actual} where the store has {sum}", "run this again, and use another copy when it stays so"))
                : resumed;
        }
        catch (StorageException e) when (GcsErrors.IsMissingObject(e, task))
        {
            throw new ObjectMissingException(calls.Options.Name, key);
        }
    }

    private async Task<Stream> ReopenAsync(GcsTask task, long at, OpenedObject first, CancellationToken cancel)
    {
        if (first.Generation is null)
        {
            throw calls.Errors.Failed(task, $"reading it broke at byte {at}, and the store does not say which version of it that was", "run this again");
        }

        try
        {
            return (await calls.RepeatAsync((_, token) => GetAsync(task, at, first.Generation, token), cancel)).Body;
        }
        catch (StorageException e) when (GcsErrors.IsMissingObject(e, task))
        {
            throw calls.Errors.Failed(task, "it was replaced or deleted while it was read", "run this again", e);
        }
    }

    private async Task<OpenedObject> GetAsync(GcsTask task, long offset, long? generation, CancellationToken cancel)
    {
        try
        {
            return await calls.OnceAsync(
                task,
                _ => Get(task.Key, offset, generation),
                (response, guard) => ReadHeadAsync(response, task, offset, guard.Token),
                cancel);
        }
        catch (StorageException e) when (GcsRefusal.Of(e) is { Status: HttpStatusCode.RequestedRangeNotSatisfiable })
        {
            return await AtEndAsync(e, task, offset, cancel);
        }
    }

    private HttpRequestMessage Get(string key, long offset, long? generation)
    {
        var pinned = generation is { } number ? string.Create(CultureInfo.InvariantCulture, $"&generation={number}") : string.Empty;
        var request = new HttpRequestMessage(HttpMethod.Get, calls.ObjectUri(key, $"alt=media{pinned}"));
        // What is stored is to come, also of an object that another tool has stored compressed.
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("gzip"));
        if (offset > 0)
        {
            request.Headers.Range = new RangeHeaderValue(offset, null);
        }

        return request;
    }

    private async Task<OpenedObject> ReadHeadAsync(HttpResponseMessage response, GcsTask task, long offset, CancellationToken cancel)
    {
        var headers = response.Content.Headers;
        var sum = response.Headers.TryGetValues("X-Goog-Hash", out var hashes) ? GcsChecksum.FromHeader(hashes) : null;
        var text = response.Headers.TryGetValues("X-Goog-Generation", out var texts) ? texts.First() : null;
        long? generation = long.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : null;
        if ((headers.ContentRange?.Length ?? headers.ContentLength) is not { } size || (headers.ContentRange?.From ?? 0) != offset)
        {
            response.Dispose();
            throw calls.Errors.Failed(task, $"the store does not say how long the object is, or began elsewhere than at byte {offset}");
        }

        return new OpenedObject(await response.Content.ReadAsStreamAsync(cancel), size, generation, sum);
    }

    // The offset is not within the object: right at its end there is nothing to read, and no error.
    private async Task<OpenedObject> AtEndAsync(StorageException refused, GcsTask task, long offset, CancellationToken cancel)
    {
        var size = GcsRefusal.Of(refused)!.Size ?? (await StatOnceAsync(task, cancel))?.Size;
        return size == offset
            ? new OpenedObject(Stream.Null, offset, null, null)
            : throw calls.Errors.Failed(task, $"it has {size} bytes and can't be read from byte {offset} on", inner: refused);
    }

    /// <summary>An object that is being read.</summary>
    /// <param name="Body">Its bytes from where it was opened.</param>
    /// <param name="Size">All its bytes.</param>
    /// <param name="Generation">Its version, or null where the store does not say.</param>
    /// <param name="Crc32c">The checksum of all its bytes, or null where the store does not say.</param>
    private sealed record OpenedObject(Stream Body, long Size, long? Generation, string? Crc32c);
}
