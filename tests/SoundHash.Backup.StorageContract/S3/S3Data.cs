using System.Security.Cryptography;
using System.Text;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>How the scripted store takes conditional writes.</summary>
public enum Conditions
{
    Honoured,
    Refused,
    Ignored,

    /// <summary>Honoured by a request that makes a whole object, and ignored when parts are completed.</summary>
    HonouredOfWholeObjects,
}

/// <summary>The bytes of an object, put together when they are first asked for: an upload's completion is quick, as it is with real stores.</summary>
internal sealed class StoredBytes(IReadOnlyList<ReadOnlyMemory<byte>> parts)
{
    private IReadOnlyList<ReadOnlyMemory<byte>> _parts = parts;

    public long Length { get; } = parts.Sum(static p => (long)p.Length);

    public ReadOnlyMemory<byte> Whole
    {
        get
        {
            if (_parts is not [var only])
            {
                var bytes = GC.AllocateUninitializedArray<byte>((int)Length);
                var at = 0;
                foreach (var part in _parts)
                {
                    part.CopyTo(bytes.AsMemory(at));
                    at += part.Length;
                }

                _parts = [only = bytes];
            }

            return only;
        }
    }
}

/// <summary>One version of an object, or a marker that it was deleted.</summary>
internal sealed record StoredVersion(string Key, StoredBytes Content, string ETag, DateTimeOffset Modified)
{
    public StoredVersion(string key, ReadOnlyMemory<byte> bytes, string etag, DateTimeOffset modified)
        : this(key, new StoredBytes([bytes]), etag, modified)
    {
    }

    public ReadOnlyMemory<byte> Bytes => Content.Whole;

    public bool IsMarker { get; init; }

    /// <summary>Headers that it was made with and that an answer repeats: metadata, storage class, lock.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    public StoredVersion With(string name, string value) => this with { Headers = new Dictionary<string, string>(Headers) { [name] = value } };
}

/// <summary>An upload in parts.</summary>
internal sealed class StoredUpload(string id, string key, IReadOnlyDictionary<string, string> headers, DateTimeOffset begun)
{
    public string Id => id;

    public string Key => key;

    public IReadOnlyDictionary<string, string> Headers => headers;

    public DateTimeOffset Begun => begun;

    public SortedDictionary<int, (ReadOnlyMemory<byte> Bytes, string ETag, DateTimeOffset At)> Parts { get; } = [];
}

/// <summary>A bucket in memory. Whoever uses it locks it.</summary>
internal sealed class StoredBucket
{
    public Lock Lock { get; } = new();

    /// <summary>All versions by key, the newest last.</summary>
    public SortedDictionary<string, List<StoredVersion>> Versions { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, StoredUpload> Uploads { get; } = [];

    /// <summary>The newest version of an object, or null when there is none or it is deleted.</summary>
    public StoredVersion? Find(string key) => Versions.TryGetValue(key, out var all) && all[^1] is { IsMarker: false } newest ? newest : null;

    public void Add(StoredVersion version)
    {
        if (!Versions.TryGetValue(version.Key, out var all))
        {
            Versions[version.Key] = all = [];
        }

        all.Add(version);
    }

    public void Replace(StoredVersion version) => Versions[version.Key][^1] = version;
}

/// <summary>Checksums as the protocol has them.</summary>
internal static class Checksums
{
    public static string ETag(ReadOnlySpan<byte> bytes) => $"\"{Convert.ToHexStringLower(Md5(bytes))}\"";

    public static string ETag(IReadOnlyCollection<string> parts) =>
        $"\"{Convert.ToHexStringLower(Md5(parts.SelectMany(static p => Convert.FromHexString(p.Trim('"'))).ToArray()))}-{parts.Count}\"";

#pragma warning disable CA5351 // It is the protocol's.
    public static byte[] Md5(ReadOnlySpan<byte> bytes) => MD5.HashData(bytes);
#pragma warning restore CA5351

    public static string Sha256(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    public static string Token(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    public static string FromToken(string token) => Encoding.UTF8.GetString(Convert.FromBase64String(token));
}
