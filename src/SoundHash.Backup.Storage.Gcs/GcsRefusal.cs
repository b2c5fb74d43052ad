using System.Globalization;
using System.Net;
using System.Text.Json;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>An answer of the store that is not the success that was asked for.</summary>
/// <param name="status">The HTTP status.</param>
/// <param name="reason">The store's word for it ("notFound"), or empty.</param>
/// <param name="message">What it says.</param>
public sealed class GcsRefusal(HttpStatusCode status, string reason, string message) : Exception(message)
{
    /// <summary>The HTTP status.</summary>
    public HttpStatusCode Status => status;

    /// <summary>The store's word for it ("notFound"), or empty.</summary>
    public string Reason => reason;

    /// <summary>The request's id, or empty.</summary>
    public string RequestId { get; private init; } = string.Empty;

    /// <summary>How long the store asks to wait, or null.</summary>
    public TimeSpan? RetryAfter { get; private init; }

    /// <summary>The object's size in bytes where a range was refused that is not within it, or null.</summary>
    public long? Size { get; private init; }

    /// <summary>The refusal that an error comes from, or null.</summary>
    internal static GcsRefusal? Of(Exception? e) => e as GcsRefusal ?? e?.InnerException as GcsRefusal;

    /// <summary>True when an error comes from an answer with this status.</summary>
    internal static bool Is(Exception? e, params ReadOnlySpan<HttpStatusCode> statuses) => Of(e) is { } refusal && statuses.Contains(refusal.Status);

    /// <summary>Makes one of an answer.</summary>
    /// <param name="response">Its head.</param>
    /// <param name="body">Its body.</param>
    /// <param name="isSession">
    /// The answer is of an upload session, whose id is what lets anybody write to it: only its beginning may be shown.
    /// </param>
    /// <param name="now">The time, for a wait that ends at one.</param>
    internal static GcsRefusal Read(HttpResponseMessage response, ReadOnlySpan<byte> body, bool isSession, DateTimeOffset now)
    {
        var (reason, message) = Parse(body);
        if (message.Length == 0)
        {
            message = response.ReasonPhrase ?? "the store gave no reason";
        }

        var id = response.Headers.TryGetValues("X-GUploader-UploadID", out var ids) ? ids.First() : string.Empty;
        return new GcsRefusal(response.StatusCode, reason, message)
        {
            RequestId = isSession && id.Length > 12 ? $"{id[..12]}…" : id,
            RetryAfter = response.Headers.RetryAfter is { } after ? after.Delta ?? Until(after.Date, now) : null,
            Size = response.Content.Headers.ContentRange?.Length,
        };
    }

    private static TimeSpan? Until(DateTimeOffset? at, DateTimeOffset now) => at - now is { } wait && wait > TimeSpan.Zero ? wait : null;

    // Errors are JSON, and now and then a line of text or a page of a proxy.
    private static (string Reason, string Message) Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            if (JsonSerializer.Deserialize(body, GcsJson.Default.GcsErrorAnswer)?.Error is { } error)
            {
                return (error.Errors is [{ Reason: { } reason }, ..] ? reason : string.Empty, error.Message ?? string.Empty);
            }
        }
        catch (JsonException)
        {
            // Shown as the text that it is.
        }

        var text = System.Text.Encoding.UTF8.GetString(body);
        return (string.Empty, text.TrimStart().StartsWith('<') ? string.Empty : text);
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{(int)status} {reason}: {Message}");
}
