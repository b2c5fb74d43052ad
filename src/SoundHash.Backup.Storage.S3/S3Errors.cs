using System.Globalization;
using System.Net.Sockets;
using System.Security.Authentication;
using Amazon.Runtime;
using Amazon.Runtime.Internal;
using static SoundHash.Backup.Storage.StoreErrorText;

namespace SoundHash.Backup.Storage.S3;

/// <summary>
/// What an error of the SDK means: whether it may pass, in one line with the store, the operation, the object and the request's id,
/// and what to do. What a request carried besides (headers, signatures) is never in it.
/// </summary>
internal sealed class S3Errors(S3Options options)
{
    private static readonly string[] Expired = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];

    // Answers of a store that has too much to do, or whose own parts failed it. Damage on the way passes too.
    private static readonly string[] Passing =
    [
        "InternalError", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded",
        "RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody",
    ];

    private readonly S3Hints _hints = new(options);

    /// <summary>Where the store is, in messages.</summary>
    public string Place => options.Endpoint is { } endpoint
        ? $"bucket {options.Bucket} at {endpoint.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped)}"
        : $"bucket {options.Bucket}";

    /// <summary>True for an error that new credentials may cure.</summary>
    public static bool IsExpired(StorageException e) => e.InnerException is AmazonServiceException inner && Expired.Contains(inner.ErrorCode);

    /// <summary>True when the store refused for want of a right. Keys or a clock that are wrong are refused with the same status.</summary>
    public static bool IsDenied(StorageException e) => Status(e) == 403 && Is(e, "AccessDenied", "Forbidden", "AllAccessDisabled");

    /// <summary>True when the store answered with one of these codes.</summary>
    public static bool Is(Exception? e, params ReadOnlySpan<string> codes) =>
        (e as AmazonServiceException ?? e?.InnerException as AmazonServiceException)?.ErrorCode is { } code && codes.Contains(code);

    /// <summary>The HTTP status that the store answered with, or 0.</summary>
    public static int Status(Exception? e) => (int)((e as AmazonServiceException ?? e?.InnerException as AmazonServiceException)?.StatusCode ?? 0);

    /// <summary>A header of the answer that an error came with, or null.</summary>
    public static string? Header(Exception e, string name) =>
        Chain(e).OfType<HttpErrorResponseException>().FirstOrDefault()?.Response?.GetHeaderValue(name) is { Length: > 0 } value ? value : null;

    /// <summary>An error that no request answered with.</summary>
    public StorageException Failed(S3Task task, string reason, string? hint = null, Exception? inner = null) =>
        new(Line(task, reason), hint, inner);

    /// <summary>The same where another attempt may help.</summary>
    public TransientStorageException Passes(S3Task task, string reason, string? hint = null, Exception? inner = null) =>
        new(Line(task, reason), hint, inner, isAnswer: true);

    /// <summary>The error of a request that was ended since nothing moved.</summary>
    public StorageException Stalled(Exception e, S3Task task)
    {
        var waited = (options.Stall * task.Patience).TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture);
        return new TransientStorageException(Line(task, $"no byte moved for {waited} s"), S3Hints.Network, e);
    }

    /// <summary>The store's error for what the SDK threw.</summary>
    public StorageException Of(Exception e, S3Task task)
    {
        // What is read to its end watches for stalls itself.
        if (e is TimeoutException)
        {
            return Stalled(e, task);
        }

        return Chain(e).OfType<AmazonServiceException>().FirstOrDefault(static s => (int)s.StatusCode != 0) is { } answer
            ? OfAnswer(answer, task)
            : OfNetwork(e, task);
    }

    private StorageException OfAnswer(AmazonServiceException e, S3Task task)
    {
        var hint = _hints.For(e, task);
        var line = Line(task, Describe(e));
        var status = (int)e.StatusCode;
        // 501 says that the store has no such thing, 505 and 507 (full) won't pass by themselves either.
        return Passing.Contains(e.ErrorCode) || status is 500 or 502 or 503 or 504 or 429 or 408
            ? new TransientStorageException(line, hint, e, isAnswer: true, retryAfter: RetryAfter(e))
            : new StorageException(line, hint, e);
    }

    private StorageException OfNetwork(Exception e, S3Task task)
    {
        var chain = Chain(e).ToList();
        if (chain.OfType<AuthenticationException>().FirstOrDefault() is { } tls)
        {
            return new StorageException(Line(task, $"the TLS connection failed: {Clean(tls.Message)}"), S3Hints.Tls, Harmless(e));
        }

        if (chain.OfType<HttpRequestException>().FirstOrDefault() is { HttpRequestError: HttpRequestError.NameResolutionError } name)
        {
            return new TransientStorageException(Line(task, $"the store's name can't be resolved: {Clean(name.Message)}"), S3Hints.Name, Harmless(e));
        }

        if (chain.Any(static c => c is HttpRequestException or IOException or SocketException or OperationCanceledException))
        {
            var reason = chain.LastOrDefault(static c => c is HttpRequestException or IOException or SocketException) ?? chain[0];
            return new TransientStorageException(Line(task, $"the connection failed: {Clean(reason.Message)}"), S3Hints.Network, Harmless(e));
        }

        if (!chain.OfType<AmazonClientException>().Any())
        {
            return new StorageException(Line(task, $"{e.GetType().Name}: {Clean(e.Message)}"), inner: Harmless(e));
        }

        return e.Message.Contains("RegionEndpoint", StringComparison.Ordinal)
            ? new StorageException(Line(task, "no region is set"), S3Hints.NoRegion, e)
            : new StorageException(Line(task, OfCredentials(e.Message)), S3Hints.Credentials, Harmless(e));
    }

    // Where all it looked is a list of half a page.
    private static string OfCredentials(string message) =>
        message.StartsWith("Failed to resolve AWS credentials", StringComparison.Ordinal) ? "no AWS credentials were found" : Clean(message);

    private string Line(S3Task task, string reason)
    {
        var what = task.Key.Length == 0 ? task.Verb : $"{task.Verb} {task.Key}";
        return $"can't {what} in store {options.Name} ({Place}): {reason}";
    }

    private static string Describe(AmazonServiceException e)
    {
        var code = string.IsNullOrEmpty(e.ErrorCode) ? "error" : e.ErrorCode;
        var request = string.IsNullOrEmpty(e.RequestId) ? "no request id" : $"request {Clean(e.RequestId)}";
        return $"{Clean(e.Message)} ({Clean(code)}, HTTP {(int)e.StatusCode}, {request})";
    }

    private TimeSpan? RetryAfter(AmazonServiceException e)
    {
        if (Header(e, "Retry-After") is not { } text)
        {
            return null;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            return TimeSpan.FromSeconds(seconds);
        }

        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            && at - options.Time.GetUtcNow() is var wait && wait > TimeSpan.Zero ? wait : null;
    }
}
