using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>The uploads.</summary>
public sealed partial class ScriptedGcs
{
    private const string SessionPath = "/upload/session/";
    private const int Unit = 256 * 1024;

    private readonly Dictionary<string, GcsSession> _sessions = [];

    /// <summary>How many sessions have begun.</summary>
    public int SessionsBegun { get; private set; }

    /// <summary>How many sessions are neither finished nor given up.</summary>
    public int SessionsOpen
    {
        get
        {
            lock (_lock)
            {
                return _sessions.Values.Count(static s => s.Finished is null);
            }
        }
    }

    /// <summary>Forgets all sessions.</summary>
    public void DropSessions()
    {
        lock (_lock)
        {
            _sessions.Clear();
        }
    }

    private ScriptedAnswer Upload(ScriptedRequest request)
    {
        var name = request.Argument("name")!;
        if ((Deny("create", name) ?? PreconditionOf(name, request)) is { } refused)
        {
            return refused;
        }

        return request.Argument("uploadType") == "multipart" ? Whole(request) : Begin(request);
    }

    private ScriptedAnswer? PreconditionOf(string name, ScriptedRequest request) => request.Argument("ifGenerationMatch") == "0" && _objects.ContainsKey(name)
        ? Error(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        : null;

    private ScriptedAnswer Begin(ScriptedRequest request)
    {
        SessionsBegun++;
        var id = $"session-id-{SessionsBegun}-which-nobody-may-see";
        _sessions[id] = new GcsSession(request, JsonNode.Parse(request.Text)!.AsObject());
        return new ScriptedAnswer(200).With("Location", new Uri(Server.Address, $"{SessionPath}{id}?upload_id={id}").AbsoluteUri).With("X-GUploader-UploadID", id);
    }

    // The two parts of multipart/related: a description and the bytes.
    private ScriptedAnswer Whole(ScriptedRequest request)
    {
        var boundary = Encoding.ASCII.GetBytes($"--{request.Header("Content-Type")!.Split("boundary=")[1].Trim('"')}");
        var body = request.Body.Span;
        if (!request.IsWhole || body.Length < boundary.Length)
        {
            return Error(400, "invalid", "the body is cut");
        }

        body = body[boundary.Length..];
        var description = JsonNode.Parse(Encoding.UTF8.GetString(Part(ref body, boundary)))!.AsObject();
        var bytes = Damage(Part(ref body, boundary));
        return Make(request, description, bytes, description["crc32c"]?.GetValue<string>());
    }

    private static byte[] Part(ref ReadOnlySpan<byte> body, ReadOnlySpan<byte> boundary)
    {
        body = body[(body.IndexOf("\r\n\r\n"u8) + 4)..];
        var end = body.IndexOf(boundary);
        var part = body[..(end - 2)].ToArray();
        body = body[(end + boundary.Length)..];
        return part;
    }

    private ScriptedAnswer Make(ScriptedRequest begun, JsonObject description, byte[] bytes, string? sum)
    {
        var name = begun.Argument("name")!;
        var isOld = _objects.TryGetValue(name, out var old);
        if ((PreconditionOf(name, begun) ?? (isOld ? Locked(old!) ?? Deny("delete", name) : null)) is { } refused)
        {
            return refused;
        }

        var stored = new GcsStored(name, bytes, ++_lastGeneration, description) { KmsKey = begun.Argument("kmsKeyName") };
        if (ComparesChecksums && sum is not null && sum != stored.Crc32c)
        {
            return Error(400, "invalid", $"Provided CRC32C \"{sum}\" doesn't match calculated CRC32C \"{stored.Crc32c}\".");
        }

        if (stored.RetentionMode is not null && (HasRetention ? Deny("setRetention", name) : Error(400, "invalid", "The bucket does not have object retention enabled.")) is { } unlocked)
        {
            return unlocked;
        }

        _objects[name] = stored;
        return Json(200, stored.Describe());
    }

    private ScriptedAnswer Session(ScriptedRequest request)
    {
        var id = request.Path[SessionPath.Length..];
        if (!_sessions.TryGetValue(id, out var session))
        {
            return ScriptedAnswer.Of(410, "Gone", "text/plain");
        }

        if (request.Method == "DELETE")
        {
            _sessions.Remove(id);
            return new ScriptedAnswer(499);
        }

        return session.Finished ?? Chunk(request, session).With("X-GUploader-UploadID", id);
    }

    // "bytes 0-262143/*", "bytes 262144-262153/262154", "bytes */262144" and "bytes */*".
    private ScriptedAnswer Chunk(ScriptedRequest request, GcsSession session)
    {
        var range = request.Header("Content-Range")!["bytes ".Length..].Split('/');
        long? total = range[1] == "*" ? null : long.Parse(range[1], CultureInfo.InvariantCulture);
        if (range[0] != "*" && Take(request, session, range[0].Split('-'), total is not null) is { } refused)
        {
            return refused;
        }

        if (total != session.Bytes.Length || !request.IsWhole)
        {
            return Resume(session);
        }

        var answer = Make(session.Begun, session.Description, session.Bytes.ToArray(), request.Header("X-Goog-Hash")?["crc32c=".Length..]);
        session.Finished = answer.Status == 200 ? answer : null;
        return answer;
    }

    private ScriptedAnswer? Take(ScriptedRequest request, GcsSession session, string[] range, bool isLast)
    {
        var (first, last) = (long.Parse(range[0], CultureInfo.InvariantCulture), long.Parse(range[1], CultureInfo.InvariantCulture));
        if (first != session.Bytes.Length || (!isLast && (last + 1 - first) % Unit != 0))
        {
            return Error(400, "invalid", $"the session has {session.Bytes.Length} bytes, and {first}-{last} came");
        }

        var kept = Keeps(request.Body.Length);
        var isEnd = isLast && kept == request.Body.Length && (request.IsWhole || KeepsCutEnds);
        session.Bytes.Write(Damage(request.Body[..(isEnd ? kept : kept / Unit * Unit)].ToArray()));
        return null;
    }

    private static ScriptedAnswer Resume(GcsSession session) => session.Bytes.Length == 0
        ? new ScriptedAnswer(308)
        : new ScriptedAnswer(308).With("Range", $"bytes=0-{session.Bytes.Length - 1}");

    private sealed class GcsSession(ScriptedRequest begun, JsonObject description)
    {
        public ScriptedRequest Begun => begun;

        public JsonObject Description => description;

        public MemoryStream Bytes { get; } = new();

        public ScriptedAnswer? Finished { get; set; }
    }
}
