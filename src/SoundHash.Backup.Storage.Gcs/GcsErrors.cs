using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using Google.Apis.Auth.OAuth2.Responses;
using static SoundHash.Backup.Storage.StoreErrorText;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>What is being done with which object, for messages.</summary>
/// <param name="Verb">What is done: "write", "read", "list", "delete", "lock".</param>
/// <param name="Key">The object's key in the store, or a prefix.</param>
internal readonly record struct GcsTask(string Verb, string Key);

/// <summary>
/// What went wrong: whether it may pass, in one line with the store, the operation, the object and the request's id, and what to do.
/// Tokens, keys and addresses of upload sessions are never in it.
/// </summary>
internal sealed class GcsErrors(GcsOptions options)
{
    // Refusals with a status that otherwise is final.
    private static readonly string[] Passing = ["rateLimitExceeded", "userRateLimitExceeded", "backendError"];

    private readonly GcsHints _hints = new(options);

    /// <summary>Where the store is, in messages.</summary>
    public string Place => options is { Endpoint: null, IsEmulated: false }
        ? $"bucket {options.Bucket}"
        : $"bucket {options.Bucket} at {options.Address.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped)}";

    /// <summary>An error that no request answered with.</summary>
    public StorageException Failed(GcsTask task, string reason, string? hint = null, Exception? inner = null) => new(Line(task, reason), hint, inner);

    /// <summary>The same where another attempt may help.</summary>
    public TransientStorageException Passes(GcsTask task, string reason, string? hint = null, Exception? inner = null) =>
        new(Line(task, reason), hint, inner, isAnswer: true);

    /// <summary>The store's error for what a request threw.</summary>
    /// <param name="e">What it threw.</param>
    /// <param name="task">What was being done.</param>
    /// <param name="stalled">The request was ended since nothing moved.</param>
    public StorageException Of(Exception e, GcsTask task, bool stalled = false)
    {
        if (stalled || e is TimeoutException)
        {
            var reason = $"no byte moved for {options.Stall.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)} s";
            return new TransientStorageException(Line(task, reason), GcsHints.Network, Harmless(e));
        }

        return e switch
        {
            GcsRefusal refusal => OfRefusal(refusal, task),
            JsonException json => Passes(task, $"the store's answer is damaged: {Clean(json.Message)}", inner: e),
            TokenFailure { InnerException: TokenResponseException token } => OfToken(token, task),
            TokenFailure => OfNetwork(e, task, "the token server")
                ?? new StorageException(Line(task, $"no credentials can be used: {Clean(e.Message)}"), GcsHints.Credentials, Harmless(e)),
            _ => OfNetwork(e, task, "the store") ?? new StorageException(Line(task, $"{e.GetType().Name}: {Clean(e.Message)}"), inner: Harmless(e)),
        };
    }

    private StorageException OfRefusal(GcsRefusal e, GcsTask task)
    {
        if (IsMissingBucket(e, task))
        {
            return new StorageException(Line(task, Describe(e, $"there is no bucket {options.Bucket}")), _hints.NoBucket, e);
        }

        var line = Line(task, Describe(e, Clean(e.Message)));
        var hint = _hints.For(e, task);
        return (int)e.Status is 500 or 502 or 503 or 504 or 429 or 408 || Passing.Contains(e.Reason) || IsDamage(e)
            ? new TransientStorageException(line, hint, e, isAnswer: true, retryAfter: e.RetryAfter)
            : new StorageException(line, hint, e);
    }

    /// <summary>True when the store took other bytes than the checksum is of, and so kept none.</summary>
    public static bool IsDamage(Exception e) => GcsRefusal.Of(e) is { Status: HttpStatusCode.BadRequest } refusal
        && refusal.Message.Contains("CRC32C", StringComparison.OrdinalIgnoreCase);

    /// <summary>True when the store keeps an object locked.</summary>
    public static bool IsLocked(Exception e) => GcsRefusal.Of(e) is
    {
        Status: HttpStatusCode.Forbidden,
        Reason: "retentionPolicyNotMet" or "objectUnderActiveHold",
    };

    /// <summary>True when there is no such object, although there is the bucket.</summary>
    public static bool IsMissingObject(Exception e, GcsTask task) =>
        GcsRefusal.Of(e) is { Status: HttpStatusCode.NotFound } refusal && !IsMissingBucket(refusal, task);

    // A listing has no object that could be missing.
    private static bool IsMissingBucket(GcsRefusal e, GcsTask task) => e.Status is HttpStatusCode.NotFound
        && (task.Verb == "list" || e.Message.Contains("bucket does not exist", StringComparison.OrdinalIgnoreCase));

    private StorageException OfToken(TokenResponseException e, GcsTask task)
    {
        var status = (int)(e.StatusCode ?? 0);
        var description = string.IsNullOrEmpty(e.Error?.ErrorDescription) ? string.Empty : $", {Clean(e.Error.ErrorDescription)}";
        var line = Line(task, $"no access token was given: {Clean(e.Error?.Error ?? "no reason")}{description} (HTTP {status})");
        return status is 0 or 408 or 429 or >= 500
            ? new TransientStorageException(line, GcsHints.Credentials, e, isAnswer: status != 0)
            : new StorageException(line, GcsHints.ForToken(e), e);
    }

    // Null for what no connection is to blame for.
    private StorageException? OfNetwork(Exception e, GcsTask task, string whom)
    {
        var chain = Chain(e).ToList();
        if (chain.OfType<AuthenticationException>().FirstOrDefault() is { } tls)
        {
            return new StorageException(Line(task, $"the TLS connection to {whom} failed: {Clean(tls.Message)}"), GcsHints.Tls, Harmless(e));
        }

        if (chain.OfType<HttpRequestException>().FirstOrDefault() is { HttpRequestError: HttpRequestError.NameResolutionError } name)
        {
            return new TransientStorageException(Line(task, $"the name of {whom} can't be resolved: {Clean(name.Message)}"), GcsHints.Name, Harmless(e));
        }

        var broken = chain.LastOrDefault(static c => c is HttpRequestException or SocketException
            or IOException and not (FileNotFoundException or DirectoryNotFoundException));
        return broken is not null || chain.OfType<OperationCanceledException>().Any()
            ? new TransientStorageException(Line(task, $"the connection to {whom} failed: {Clean((broken ?? e).Message)}"), GcsHints.Network, Harmless(e))
            : null;
    }

    private string Line(GcsTask task, string reason)
    {
        var what = task.Key.Length == 0 ? task.Verb : $"{task.Verb} {task.Key}";
        return $"can't {what} in store {options.Name} ({Place}): {reason}";
    }

    private static string Describe(GcsRefusal e, string text)
    {
        var reason = e.Reason.Length == 0 ? string.Empty : $"{Clean(e.Reason)}, ";
        var request = e.RequestId.Length == 0 ? "no request id" : $"request {Clean(e.RequestId)}";
        return $"{text} ({reason}HTTP {(int)e.Status}, {request})";
    }
}
