using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>The requests that make one object.</summary>
internal sealed class WriteRequests(GcsCalls calls, string key, WriteMode mode, ObjectAttributes attributes)
{
    private const string WriteIdName = "shbackup-write";
    private const int LargeBody = 1024 * 1024;

    private readonly string _writeId = Guid.NewGuid().ToString("N");

    /// <summary>True when an object is what this write has made.</summary>
    public bool IsOurs(GcsObject found) => found.Metadata?.GetValueOrDefault(WriteIdName) == _writeId;

    /// <summary>The whole object in one request. The store refuses it when the bytes are not those of the checksum.</summary>
    public HttpRequestMessage Whole(ReadOnlyMemory<byte> bytes, string crc32c, Action moved)
    {
        var boundary = $"part-{Guid.NewGuid():N}";
        var description = JsonSerializer.Serialize(Description() with { Crc32c = crc32c }, GcsJson.Default.GcsObject);
        var head = $"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{description}\r\n"
            + $"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n";
        var body = new UploadBody([Encoding.UTF8.GetBytes(head), bytes, Encoding.UTF8.GetBytes($"\r\n--{boundary}--\r\n")], moved);
        body.Headers.ContentType = MediaTypeHeaderValue.Parse($"multipart/related; boundary={boundary}");
        var request = new HttpRequestMessage(HttpMethod.Post, calls.UploadUri(Query("multipart"))) { Content = body };
        // To ask first costs a round trip. It saves sending much in vain, and the broken connection that hides why it was refused.
        request.Headers.ExpectContinue = bytes.Length >= LargeBody;
        return request;
    }

    /// <summary>Begins a session.</summary>
    public HttpRequestMessage Begin()
    {
        var request = new HttpRequestMessage(HttpMethod.Post, calls.UploadUri(Query("resumable")))
        {
            Content = new StringContent(JsonSerializer.Serialize(Description(), GcsJson.Default.GcsObject), Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("X-Upload-Content-Type", "application/octet-stream");
        return request;
    }

    private string Query(string type)
    {
        var query = new StringBuilder($"uploadType={type}&name={Uri.EscapeDataString(calls.Options.Root + key)}");
        if (mode is WriteMode.CreateNew)
        {
            query.Append("&ifGenerationMatch=0");
        }

        if (calls.Options.KmsKey is { Length: > 0 } kms)
        {
            query.Append("&kmsKeyName=").Append(Uri.EscapeDataString(kms));
        }

        return query.ToString();
    }

    private GcsObject Description() => new()
    {
        ContentType = "application/octet-stream",
        StorageClass = calls.Options.StorageClasses.TryGetValue(attributes.Tier ?? string.Empty, out var ofTier) ? ofTier : calls.Options.StorageClass,
        Metadata = Metadata(),
        Retention = attributes.RetainUntil is { } until && calls.Options.LockOf(attributes) is var mode and not GcsLock.None
            ? new GcsRetention(mode.ToString(), until.ToUniversalTime())
            : null,
    };

    private Dictionary<string, string> Metadata()
    {
        var metadata = new Dictionary<string, string> { [WriteIdName] = _writeId };
        foreach (var (name, value) in ((string, string?)[])[("tier", attributes.Tier), ("kind", attributes.Kind), ("cluster", calls.Options.Cluster)])
        {
            if (value is not null)
            {
                metadata[name] = value;
            }
        }

        return metadata;
    }
}
