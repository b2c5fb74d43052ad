using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>
/// A store that speaks S3 over real HTTP and keeps buckets in memory: strict where stores differ, so that what works here works
/// with all of them. It refuses chunk framing, wrong checksums and requests without a signature.
/// </summary>
public sealed class ScriptedS3 : IAsyncDisposable
{
    public const string Bucket = "bucket";
    public const string AccessKey = "AKIDSCRIPTED";

    private readonly ConcurrentDictionary<string, StoredBucket> _buckets = [];
    private readonly ScriptedS3Objects _objects;
    private readonly ScriptedS3Uploads _uploads;
    private int _requests;

    public ScriptedS3(X509Certificate2? certificate = null)
    {
        _buckets[Bucket] = new StoredBucket();
        _objects = new ScriptedS3Objects(this);
        _uploads = new ScriptedS3Uploads(this);
        Server = new ScriptedServer(HandleAsync, certificate);
    }

    /// <summary>The HTTP below: its faults and what came.</summary>
    public ScriptedServer Server { get; }

    /// <summary>What it does with If-None-Match.</summary>
    public Conditions Conditions { get; init; }

    /// <summary>Objects, uploads and parts of one page of a list.</summary>
    public int PageSize { get; init; } = 300;

    /// <summary>Which requests these credentials may not make.</summary>
    public Func<ScriptedRequest, bool> Denied { get; set; } = static _ => false;

    /// <summary>Whether the bucket has versions and locks.</summary>
    public bool HasLocks { get; init; }

    /// <summary>Bytes below which no part but the last may be.</summary>
    public int SmallestPart { get; init; }

    /// <summary>It believes the checksums that come with a body, and costs next to nothing: for measuring clients, not for testing them.</summary>
    public bool TrustsChecksums { get; init; }

    /// <summary>Its clock.</summary>
    public DateTimeOffset Now => TimeProvider.System.GetUtcNow() + Skew;

    /// <summary>How far its clock is ahead.</summary>
    public TimeSpan Skew { get; set; }

    internal StoredBucket Stored => _buckets[Bucket];

    /// <summary>Puts an object there as another tool would.</summary>
    public void PutForeign(string key, string text)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        lock (Stored.Lock)
        {
            Stored.Add(new StoredVersion(key, bytes, Checksums.ETag(bytes), Now));
        }
    }

    /// <summary>Begins an upload in parts that nobody completes, so long ago.</summary>
    public void LeaveUpload(string key, TimeSpan age)
    {
        lock (Stored.Lock)
        {
            var upload = new StoredUpload(Guid.NewGuid().ToString("n"), key, new Dictionary<string, string>(), Now - age);
            Stored.Uploads[upload.Id] = upload;
        }
    }

    /// <summary>The keys of uploads in parts that are not completed.</summary>
    public IReadOnlyList<string> Uploads()
    {
        lock (Stored.Lock)
        {
            return [.. Stored.Uploads.Values.Select(static u => u.Key)];
        }
    }

    /// <summary>What a header says of every object that is there, by key; null where it says nothing.</summary>
    public IReadOnlyDictionary<string, string?> HeaderOfAll(string name)
    {
        lock (Stored.Lock)
        {
            return Stored.Versions.Keys.Select(Stored.Find).OfType<StoredVersion>().ToDictionary(static v => v.Key, v => v.Header(name));
        }
    }

    /// <summary>Makes these the only objects, and forgets all uploads.</summary>
    public void Replace(IEnumerable<(string Key, byte[] Bytes, DateTimeOffset Modified)> objects)
    {
        lock (Stored.Lock)
        {
            Stored.Uploads.Clear();
            Stored.Versions.Clear();
            foreach (var (key, bytes, modified) in objects)
            {
                Stored.Add(new StoredVersion(key, bytes, Checksums.ETag(bytes), modified));
            }
        }
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    /// <summary>An error as S3 answers it.</summary>
    public static ScriptedAnswer Error(int status, string code, string message) => ScriptedAnswer.Of(
        status,
        $"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message><RequestId>REQ-{code}</RequestId></Error>")
        .With("x-amz-request-id", $"REQ-{code}");

    /// <summary>The ETag of a body.</summary>
    internal string ETagOf(ScriptedRequest request) => TrustsChecksums && request.Header("Content-MD5") is { } md5
        ? $"\"{Convert.ToHexStringLower(Convert.FromBase64String(md5))}\""
        : Checksums.ETag(request.Body.Span);

    private Task<ScriptedAnswer> HandleAsync(ScriptedRequest request)
    {
        var number = Interlocked.Increment(ref _requests);
        var answer = Refuse(request) ?? Route(request);
        return Task.FromResult(answer.Headers.ContainsKey("x-amz-request-id")
            ? answer
            : answer.With("x-amz-request-id", string.Create(CultureInfo.InvariantCulture, $"REQ{number}")));
    }

    private ScriptedAnswer? Refuse(ScriptedRequest request)
    {
        if (request.Header("Authorization") is not { } signed || !signed.Contains($"Credential={AccessKey}/", StringComparison.Ordinal))
        {
            return Error(403, "InvalidAccessKeyId", "The access key is unknown.");
        }

        var sent = DateTimeOffset.ParseExact(request.Header("x-amz-date")!, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        if ((Now - sent).Duration() > TimeSpan.FromMinutes(15))
        {
            return Error(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.");
        }

        return (TrustsChecksums ? null : RefuseBody(request)) ?? (Denied(request) ? Error(403, "AccessDenied", "Access Denied") : null);
    }

    private static ScriptedAnswer? RefuseBody(ScriptedRequest request)
    {
        if (request.Header("x-amz-content-sha256") is { } hash && hash != "UNSIGNED-PAYLOAD" && hash != Checksums.Sha256(request.Body.Span))
        {
            return hash.StartsWith("STREAMING", StringComparison.Ordinal)
                ? Error(501, "NotImplemented", "Chunked bodies are not known here.")
                : Error(400, "XAmzContentSHA256Mismatch", "The body is not what was signed.");
        }

        return request.Header("Content-MD5") is { } md5 && md5 != Convert.ToBase64String(Checksums.Md5(request.Body.Span))
            ? Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
            : null;
    }

    private ScriptedAnswer Route(ScriptedRequest request)
    {
        var parts = request.DecodedPath[1..].Split('/', 2);
        if (!_buckets.TryGetValue(parts[0], out var bucket))
        {
            return Error(404, "NoSuchBucket", "The specified bucket does not exist");
        }

        var key = parts.ElementAtOrDefault(1) ?? string.Empty;
        lock (bucket.Lock)
        {
            return key.Length == 0 ? OfBucket(bucket, request)
                : request.Argument("uploads") is not null || request.Argument("uploadId") is not null ? _uploads.Handle(bucket, key, request)
                : _objects.Handle(bucket, key, request);
        }
    }

    private ScriptedAnswer OfBucket(StoredBucket bucket, ScriptedRequest request)
    {
        if (request.Argument("object-lock") is not null)
        {
            return HasLocks
                ? ScriptedAnswer.Of(200, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")
                : Error(404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket");
        }

        return request.Argument("uploads") is not null ? _uploads.List(bucket, request) : _objects.List(bucket, request);
    }
}
