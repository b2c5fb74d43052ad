using System.Globalization;
using System.Security;
using System.Text;
using System.Xml.Linq;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>Objects of the scripted store: put, get, head, delete, list, retention.</summary>
internal sealed class ScriptedS3Objects(ScriptedS3 s3)
{
    private const string Mode = "x-amz-object-lock-mode";
    private const string Until = "x-amz-object-lock-retain-until-date";
    private const string Hold = "x-amz-object-lock-legal-hold";

    public ScriptedAnswer Handle(StoredBucket bucket, string key, ScriptedRequest request) => request.Method switch
    {
        "PUT" when request.Argument("retention") is not null => Retain(bucket, key, request),
        "PUT" => Put(bucket, key, request),
        "GET" or "HEAD" => Get(bucket, key, request),
        "DELETE" => Delete(bucket, key),
        _ => ScriptedS3.Error(405, "MethodNotAllowed", "The method is not allowed"),
    };

    public ScriptedAnswer? RefuseCondition(StoredBucket bucket, string key, ScriptedRequest request)
    {
        if (request.Header("If-None-Match") is null
            || s3.Conditions is Conditions.Ignored
            || (s3.Conditions is Conditions.HonouredOfWholeObjects && request.Method == "POST"))
        {
            return null;
        }

        if (s3.Conditions is Conditions.Refused)
        {
            return ScriptedS3.Error(501, "NotImplemented", "A header you provided implies functionality that is not implemented.");
        }

        return bucket.Find(key) is null ? null
            : ScriptedS3.Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
    }

    /// <summary>The headers of a request that stay with what it makes.</summary>
    public static Dictionary<string, string> KeptHeaders(ScriptedRequest request) => request.Headers
        .Where(static h => h.Key.StartsWith("x-amz-meta-", StringComparison.OrdinalIgnoreCase)
            || h.Key.StartsWith("x-amz-object-lock", StringComparison.OrdinalIgnoreCase)
            || h.Key.StartsWith("x-amz-server-side", StringComparison.OrdinalIgnoreCase)
            || h.Key.ToLowerInvariant() is "x-amz-storage-class" or "x-amz-tagging")
        .ToDictionary(static h => h.Key.ToLowerInvariant(), static h => h.Value);

    public ScriptedAnswer List(StoredBucket bucket, ScriptedRequest request)
    {
        var prefix = request.Argument("prefix") ?? string.Empty;
        var after = request.Argument("continuation-token") is { } token ? Checksums.FromToken(token) : string.Empty;
        var found = bucket.Versions.Keys
            .Where(k => k.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(k, after) > 0 && bucket.Find(k) is not null)
            .Take(s3.PageSize + 1).Select(k => bucket.Find(k)!).ToList();
        var isCut = found.Count > s3.PageSize;
        var page = found.Take(s3.PageSize).ToList();
        var url = request.Argument("encoding-type") == "url";
        var text = new StringBuilder("<ListBucketResult>").Append(CultureInfo.InvariantCulture, $"<IsTruncated>{(isCut ? "true" : "false")}</IsTruncated>");
        if (isCut)
        {
            text.Append(CultureInfo.InvariantCulture, $"<NextContinuationToken>{Checksums.Token(page[^1].Key)}</NextContinuationToken>");
        }

        text.Append(url ? "<EncodingType>url</EncodingType>" : string.Empty);
        foreach (var one in page)
        {
            var key = url ? Uri.EscapeDataString(one.Key) : SecurityElement.Escape(one.Key);
            text.Append(CultureInfo.InvariantCulture, $"<Contents><Key>{key}</Key><Size>{one.Content.Length}</Size><ETag>{SecurityElement.Escape(one.ETag)}</ETag>")
                .Append(CultureInfo.InvariantCulture, $"<LastModified>{one.Modified.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fffZ}</LastModified></Contents>");
        }

        return ScriptedAnswer.Of(200, text.Append("</ListBucketResult>").ToString());
    }

    private ScriptedAnswer Put(StoredBucket bucket, string key, ScriptedRequest request)
    {
        if (RefuseCondition(bucket, key, request) is { } refused)
        {
            return refused;
        }

        var version = new StoredVersion(key, request.Body, s3.ETagOf(request), s3.Now) { Headers = KeptHeaders(request) };
        Add(bucket, version);
        return new ScriptedAnswer(200).With("ETag", version.ETag);
    }

    /// <summary>Makes a version the newest one, and without versions the only one.</summary>
    public void Add(StoredBucket bucket, StoredVersion version)
    {
        if (!s3.HasLocks)
        {
            bucket.Versions.Remove(version.Key);
        }

        bucket.Add(version);
    }

    private static ScriptedAnswer Get(StoredBucket bucket, string key, ScriptedRequest request)
    {
        if (bucket.Find(key) is not { } found)
        {
            return ScriptedS3.Error(404, "NoSuchKey", "The specified key does not exist.");
        }

        if (request.Header("If-Match") is { } match && match.Trim('"') != found.ETag.Trim('"'))
        {
            return ScriptedS3.Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
        }

        var answer = (request.Method == "HEAD" ? new ScriptedAnswer(200) { Length = found.Content.Length } : new ScriptedAnswer(200, found.Bytes))
            .With("ETag", found.ETag).With("Last-Modified", found.Modified.UtcDateTime.ToString("R", CultureInfo.InvariantCulture));
        foreach (var (name, value) in found.Headers)
        {
            answer = answer.With(name, value);
        }

        return request.Header("Range") is { } range ? Range(answer, range) : answer;
    }

    private static ScriptedAnswer Range(ScriptedAnswer whole, string range)
    {
        var ends = range["bytes=".Length..].Split('-');
        var start = int.Parse(ends[0], CultureInfo.InvariantCulture);
        var length = whole.Body.Length;
        if (start >= length)
        {
            return ScriptedS3.Error(416, "InvalidRange", "The requested range is not satisfiable");
        }

        var end = ends[1].Length == 0 ? length - 1 : Math.Min(int.Parse(ends[1], CultureInfo.InvariantCulture), length - 1);
        return (whole with { Status = 206, Body = whole.Body[start..(end + 1)] })
            .With("Content-Range", string.Create(CultureInfo.InvariantCulture, $"bytes {start}-{end}/{length}"));
    }

    // As a bucket with versions has it: nothing is refused, and a marker hides the object.
    private ScriptedAnswer Delete(StoredBucket bucket, string key)
    {
        if (s3.HasLocks)
        {
            bucket.Add(new StoredVersion(key, ReadOnlyMemory<byte>.Empty, string.Empty, s3.Now) { IsMarker = true });
        }
        else
        {
            bucket.Versions.Remove(key);
        }

        return new ScriptedAnswer(204);
    }

    private ScriptedAnswer Retain(StoredBucket bucket, string key, ScriptedRequest request)
    {
        if (!s3.HasLocks)
        {
            return ScriptedS3.Error(400, "InvalidRequest", "Bucket is missing Object Lock Configuration");
        }

        var asked = XDocument.Parse(request.Text).Root!.Elements().ToDictionary(static e => e.Name.LocalName, static e => e.Value);
        var until = DateTimeOffset.Parse(asked["RetainUntilDate"], CultureInfo.InvariantCulture);
        if (until < s3.Now)
        {
            return ScriptedS3.Error(400, "InvalidArgument", "The retain until date must be in the future!");
        }

        var found = bucket.Find(key);
        if (found?.Header(Until) is { } now && DateTimeOffset.Parse(now, CultureInfo.InvariantCulture) > until)
        {
            return ScriptedS3.Error(403, "AccessDenied", "Access Denied because object protected by object lock.");
        }

        if (found is null)
        {
            return ScriptedS3.Error(404, "NoSuchKey", "The specified key does not exist.");
        }

        bucket.Replace(found.With(Mode, asked["Mode"]).With(Until, asked["RetainUntilDate"]));
        return new ScriptedAnswer(200);
    }

    /// <summary>Locks an object until a time that may be over.</summary>
    public static void LockUntil(StoredBucket bucket, string key, DateTimeOffset until)
    {
        lock (bucket.Lock)
        {
            bucket.Replace(bucket.Find(key)!.With(Mode, "COMPLIANCE").With(Until, until.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)));
        }
    }

    /// <summary>Holds an object without an end.</summary>
    public static void HoldForever(StoredBucket bucket, string key)
    {
        lock (bucket.Lock)
        {
            bucket.Replace(bucket.Find(key)!.With(Hold, "ON"));
        }
    }
}
