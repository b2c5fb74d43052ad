using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>
/// One bucket as the JSON API of Google Cloud Storage shows it: uploads in one request or in sessions, preconditions, checksums,
/// generations, listings in pages, ranges, retention. What it answers and refuses is worded as the real one does.
/// </summary>
public sealed partial class ScriptedGcs : IAsyncDisposable
{
    public const string Bucket = "backups";

    public const string GoodToken = "the-token-of-the-scripted-store";

    private const string Objects = $"/storage/v1/b/{Bucket}/o";

    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, GcsStored> _objects = new(StringComparer.Ordinal);
    private long _lastGeneration = 1_700_000_000_000_000;

    public ScriptedGcs(X509Certificate2? certificate = null) =>
        Server = new ScriptedServer(request => Task.FromResult(Answer(request)), certificate);

    /// <summary>Where it can be reached, and what goes wrong on the way.</summary>
    public ScriptedServer Server { get; }

    /// <summary>False for one that takes everybody, as an emulator does.</summary>
    public bool NeedsToken { get; set; } = true;

    /// <summary>Tokens that are taken.</summary>
    public ConcurrentDictionary<string, bool> Tokens { get; } = new() { [GoodToken] = true };

    /// <summary>Rights that those who ask do not have, as "storage.objects.delete".</summary>
    public ConcurrentDictionary<string, bool> Denied { get; } = [];

    /// <summary>The bucket is there.</summary>
    public bool HasBucket { get; set; } = true;

    /// <summary>Objects on a page of a listing.</summary>
    public int PageSize { get; set; } = 100;

    /// <summary>Objects can be locked one by one.</summary>
    public bool HasRetention { get; set; } = true;

    /// <summary>The checksum that comes with uploads is compared, as the real one does.</summary>
    public bool ComparesChecksums { get; set; } = true;

    /// <summary>What becomes of the bytes of uploads on their way.</summary>
    public Func<byte[], byte[]> Damage { get; set; } = static b => b;

    /// <summary>How many of the bytes that came in a chunk are kept.</summary>
    public Func<int, int> Keeps { get; set; } = static n => n;

    /// <summary>The last bytes of an object are kept although the connection broke behind them.</summary>
    public bool KeepsCutEnds { get; set; }

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    /// <summary>An object as it is stored, or null.</summary>
    public GcsStored? Find(string name)
    {
        lock (_lock)
        {
            return _objects.GetValueOrDefault(name);
        }
    }

    /// <summary>All objects as they are stored.</summary>
    public IReadOnlyList<GcsStored> All()
    {
        lock (_lock)
        {
            return [.. _objects.Values];
        }
    }

    /// <summary>Makes these the only objects, and forgets all uploads.</summary>
    public void Replace(IEnumerable<(string Name, byte[] Bytes, DateTimeOffset Created)> objects)
    {
        lock (_lock)
        {
            _sessions.Clear();
            _objects.Clear();
            foreach (var (name, bytes, created) in objects)
            {
                _objects[name] = new GcsStored(name, bytes, ++_lastGeneration, []) { Created = created };
            }
        }
    }

    /// <summary>Stores an object as another program would.</summary>
    public void Put(string name, string text, Action<GcsStored>? change = null)
    {
        lock (_lock)
        {
            var stored = new GcsStored(name, Encoding.UTF8.GetBytes(text), ++_lastGeneration, []);
            change?.Invoke(stored);
            _objects[name] = stored;
        }
    }

    /// <summary>An error as the JSON API words it.</summary>
    public static ScriptedAnswer Error(int status, string reason, string message) => Json(status, new JsonObject
    {
        ["error"] = new JsonObject
        {
            ["code"] = status,
            ["message"] = message,
            ["errors"] = new JsonArray(new JsonObject { ["message"] = message, ["domain"] = "global", ["reason"] = reason }),
        },
    });

    private static ScriptedAnswer Json(int status, JsonObject body) =>
        ScriptedAnswer.Of(status, body.ToJsonString(), "application/json; charset=UTF-8").With("X-GUploader-UploadID", "request-id-of-the-store");

    private ScriptedAnswer Answer(ScriptedRequest request)
    {
        lock (_lock)
        {
            return Refusal(request) ?? Carry(request);
        }
    }

    private ScriptedAnswer? Refusal(ScriptedRequest request)
    {
        if (NeedsToken && (request.Header("Authorization") is not { } authorization || !Tokens.ContainsKey(authorization["Bearer ".Length..])))
        {
            return Error(401, "authError", "Invalid Credentials");
        }

        return HasBucket ? null : Error(404, "notFound", "The specified bucket does not exist.");
    }

    private ScriptedAnswer Carry(ScriptedRequest request)
    {
        if (request.Path == $"/upload{Objects}")
        {
            return Upload(request);
        }

        if (request.Path.StartsWith(SessionPath, StringComparison.Ordinal))
        {
            return Session(request);
        }

        if (request.Path == Objects)
        {
            return Deny("list", "bucket") ?? List(request);
        }

        var name = Uri.UnescapeDataString(request.Path[(Objects.Length + 1)..]);
        return request.Method switch
        {
            "GET" => Deny("get", name) ?? Get(name, request),
            "PATCH" => Deny("update", name) ?? Patch(name, request),
            "DELETE" => Deny("delete", name) ?? Delete(name),
            _ => Error(405, "methodNotAllowed", "Method Not Allowed"),
        };
    }

    private ScriptedAnswer? Deny(string right, string what) => Denied.ContainsKey($"storage.objects.{right}")
        ? Error(
            403,
            "forbidden",
            $"backup@project.iam.gserviceaccount.com does not have storage.objects.{right} access to the Google Cloud Storage object. Permission 'storage.objects.{right}' denied on resource '{what}' (or it may not exist).")
        : null;

    private static ScriptedAnswer Missing(string name) => Error(404, "notFound", $"No such object: {Bucket}/{name}");

    private ScriptedAnswer List(ScriptedRequest request)
    {
        var prefix = request.Argument("prefix") ?? string.Empty;
        var after = request.Argument("pageToken") is { } token ? Encoding.UTF8.GetString(Convert.FromHexString(token)) : null;
        var left = _objects.Values
            .Where(o => o.Name.StartsWith(prefix, StringComparison.Ordinal) && (after is null || string.CompareOrdinal(o.Name, after) > 0))
            .Take(PageSize + 1)
            .ToList();
        var body = new JsonObject { ["kind"] = "storage#objects" };
        if (left.Count > 0)
        {
            body["items"] = new JsonArray([.. left.Take(PageSize).Select(static o => o.Describe())]);
        }

        if (left.Count > PageSize)
        {
            body["nextPageToken"] = Convert.ToHexString(Encoding.UTF8.GetBytes(left[PageSize - 1].Name));
        }

        return Json(200, body);
    }

    private ScriptedAnswer Get(string name, ScriptedRequest request)
    {
        if (Of(name, request) is not { } found)
        {
            return Missing(name);
        }

        return request.Argument("alt") == "media" ? Media(found, request) : Json(200, found.Describe());
    }

    private GcsStored? Of(string name, ScriptedRequest request) => _objects.TryGetValue(name, out var found)
        && (request.Argument("generation") is not { } generation || generation == found.Generation.ToString(CultureInfo.InvariantCulture))
        ? found : null;

    private static ScriptedAnswer Media(GcsStored found, ScriptedRequest request)
    {
        var start = request.Header("Range") is { } range ? long.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture) : 0;
        if (start > 0 && start >= found.Bytes.Length)
        {
            return ScriptedAnswer.Of(416, "The requested range cannot be satisfied.", "text/html")
                .With("Content-Range", $"bytes */{found.Bytes.Length}");
        }

        var answer = new ScriptedAnswer(start > 0 ? 206 : 200, found.Bytes[(int)start..])
            .With("Content-Type", "application/octet-stream")
            .With("X-Goog-Generation", found.Generation.ToString(CultureInfo.InvariantCulture))
            .With("X-Goog-Hash", $"crc32c={found.Crc32c},md5=AAAAAAAAAAAAAAAAAAAAAA==");
        return start > 0 ? answer.With("Content-Range", $"bytes {start}-{found.Bytes.Length - 1}/{found.Bytes.Length}") : answer;
    }

    private ScriptedAnswer Patch(string name, ScriptedRequest request)
    {
        if (Of(name, request) is not { } found)
        {
            return Missing(name);
        }

        if (request.Argument("ifMetagenerationMatch") is { } metageneration && metageneration != found.Metageneration.ToString(CultureInfo.InvariantCulture))
        {
            return Error(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
        }

        return Deny("setRetention", name) ?? Retain(found, JsonNode.Parse(request.Text)!["retention"]!.AsObject(), request.Argument("overrideUnlockedRetention") == "true");
    }

    private ScriptedAnswer Retain(GcsStored found, JsonObject retention, bool isOverride)
    {
        if (!HasRetention)
        {
            return Error(400, "invalid", "The bucket does not have object retention enabled.");
        }

        var (mode, until) = (retention["mode"]!.GetValue<string>(), retention["retainUntilTime"]!.GetValue<DateTimeOffset>());
        if (found.RetainUntil is { } now && (until < now || mode != found.RetentionMode) && (found.RetentionMode == "Locked" || !isOverride))
        {
            return Error(403, "retentionPolicyNotMet", $"Object '{Bucket}/{found.Name}' has a retention that can't be reduced.");
        }

        (found.RetentionMode, found.RetainUntil) = (mode, until);
        found.Metageneration++;
        return Json(200, found.Describe());
    }

    private ScriptedAnswer Delete(string name)
    {
        if (!_objects.TryGetValue(name, out var found))
        {
            return Missing(name);
        }

        if (Locked(found) is { } refusal)
        {
            return refusal;
        }

        _objects.Remove(name);
        return new ScriptedAnswer(204);
    }

    private static ScriptedAnswer? Locked(GcsStored found)
    {
        if (found.IsHeld)
        {
            return Error(403, "objectUnderActiveHold", $"Object '{Bucket}/{found.Name}' is under active Temporary hold and cannot be deleted, overwritten or archived until hold is removed.");
        }

        return found.RetainUntil > TimeProvider.System.GetUtcNow()
            ? Error(403, "retentionPolicyNotMet", $"Object '{Bucket}/{found.Name}' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten until {found.RetainUntil:O}")
            : null;
    }
}
