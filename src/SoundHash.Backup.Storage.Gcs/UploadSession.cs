using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>How far a session has come.</summary>
/// <param name="Received">Bytes of the object that the store has for good.</param>
/// <param name="Finished">The object, when it is there.</param>
internal readonly record struct UploadProgress(long Received, GcsObject? Finished);

/// <summary>The requests of one resumable upload. Its address lets anybody write to it, so it is never shown.</summary>
internal sealed class UploadSession(GcsCalls calls, GcsTask task, Uri address)
{
    /// <summary>Begins one.</summary>
    /// <exception cref="StorageException">With a refusal of 412: the object exists already.</exception>
    public static Task<UploadSession> BeginAsync(GcsCalls calls, GcsTask task, WriteRequests requests, CancellationToken cancel) => calls.OnceAsync(
        task,
        _ => requests.Begin(),
        async (response, guard) =>
        {
            await GcsCalls.BytesAsync(response, guard);
            return response.Headers.Location is { } location
                ? new UploadSession(calls, task, new Uri(calls.Options.Address, location))
                : throw calls.Errors.Failed(task, "the store began no upload session");
        },
        cancel,
        isSession: true);

    /// <summary>Sends bytes once.</summary>
    /// <param name="bytes">What is sent.</param>
    /// <param name="offset">Where in the object they belong.</param>
    /// <param name="last">The object's size and checksum when it ends with them; the store then refuses it when the checksum is another's.</param>
    /// <param name="moved">Told when some have moved.</param>
    /// <param name="cancel">Cancels.</param>
    public Task<UploadProgress> SendAsync(
        ReadOnlyMemory<byte> bytes, long offset, (long Size, string Crc32c)? last, Action moved, CancellationToken cancel) => AskAsync(
        guard =>
        {
            var body = new UploadBody([bytes], () =>
            {
                guard.Moved();
                moved();
            });
            var size = last?.Size.ToString(CultureInfo.InvariantCulture) ?? "*";
            var request = Put(body, bytes.IsEmpty ? $"bytes */{size}" : $"bytes {offset}-{offset + bytes.Length - 1}/{size}");
            if (last is { } end)
            {
                request.Headers.Add("X-Goog-Hash", $"crc32c={end.Crc32c}");
            }

            return request;
        },
        cancel);

    /// <summary>Asks once how much the store has.</summary>
    public Task<UploadProgress> AskAsync(CancellationToken cancel) => AskAsync(_ => Put(new ByteArrayContent([]), "bytes */*"), cancel);

    /// <summary>Gives it up; the store answers that with an error of its own.</summary>
    public Task<bool> CancelAsync(CancellationToken cancel) => calls.OnceAsync(
        task,
        _ => new HttpRequestMessage(HttpMethod.Delete, address),
        static (response, _) =>
        {
            response.Dispose();
            return Task.FromResult(true);
        },
        cancel,
        isSession: true);

    private Task<UploadProgress> AskAsync(Func<StallGuard, HttpRequestMessage> request, CancellationToken cancel) =>
        calls.OnceAsync(task, request, ReadAsync, cancel, isSession: true);

    private HttpRequestMessage Put(HttpContent body, string range)
    {
        var request = new HttpRequestMessage(HttpMethod.Put, address) { Content = body };
        body.Headers.ContentRange = ContentRangeHeaderValue.TryParse(range, out var known) ? known : null;
        if (body.Headers.ContentRange is null)
        {
            body.Headers.TryAddWithoutValidation("Content-Range", range);
        }

        return request;
    }

    private static async Task<UploadProgress> ReadAsync(HttpResponseMessage response, StallGuard guard)
    {
        var body = await GcsCalls.BytesAsync(response, guard);
        if (response.StatusCode is not HttpStatusCode.PermanentRedirect)
        {
            var made = JsonSerializer.Deserialize(body.Span, GcsJson.Default.GcsObject) ?? throw new JsonException("it is null");
            return new UploadProgress(made.Size ?? 0, made);
        }

        // "bytes=0-262143", and nothing at all when it has none.
        var range = response.Headers.TryGetValues("Range", out var values) ? values.First() : null;
        if (range is null)
        {
            return default;
        }

        var end = range[(range.LastIndexOf('-') + 1)..];
        return long.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out var last)
            ? new UploadProgress(last + 1, null)
            : throw new JsonException("its Range has no number");
    }
}
