using System.Text.Json.Serialization;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>An object as the JSON API describes it; numbers are texts there.</summary>
internal sealed record GcsObject
{
    /// <summary>The fields that are asked for: all of these but the ones of a write.</summary>
    public const string Fields =
        "name,size,generation,metageneration,timeCreated,crc32c,metadata,retention,retentionExpirationTime,temporaryHold,eventBasedHold";

    public string? Name { get; init; }

    public long? Size { get; init; }

    public long? Generation { get; init; }

    public long? Metageneration { get; init; }

    /// <summary>When this generation was made; "updated" would be of its metadata.</summary>
    public DateTimeOffset? TimeCreated { get; init; }

    /// <summary>Base64 of the big-endian bytes.</summary>
    public string? Crc32c { get; init; }

    public string? ContentType { get; init; }

    public string? StorageClass { get; init; }

    public Dictionary<string, string>? Metadata { get; init; }

    public GcsRetention? Retention { get; init; }

    /// <summary>By the bucket's policy or the object's own retention, whichever is later.</summary>
    public DateTimeOffset? RetentionExpirationTime { get; init; }

    public bool? TemporaryHold { get; init; }

    public bool? EventBasedHold { get; init; }
}

/// <summary>An object's own retention.</summary>
internal sealed record GcsRetention(string? Mode, DateTimeOffset? RetainUntilTime);

/// <summary>What a change of retention sends.</summary>
internal sealed record GcsRetentionPatch(GcsRetention Retention);

/// <summary>A page of a listing.</summary>
internal sealed record GcsPage(IReadOnlyList<GcsObject>? Items, string? NextPageToken);

/// <summary>An error as the JSON API says it.</summary>
internal sealed record GcsErrorAnswer(GcsErrorBody? Error);

/// <summary>The error itself.</summary>
internal sealed record GcsErrorBody(string? Message, IReadOnlyList<GcsErrorDetail>? Errors);

/// <summary>Its machine-readable part.</summary>
internal sealed record GcsErrorDetail(string? Reason);

/// <summary>Reads and writes all of these without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.AllowReadingFromString)]
[JsonSerializable(typeof(GcsObject))]
[JsonSerializable(typeof(GcsPage))]
[JsonSerializable(typeof(GcsRetentionPatch))]
[JsonSerializable(typeof(GcsErrorAnswer))]
internal sealed partial class GcsJson : JsonSerializerContext;

/// <summary>CRC-32C as Google writes it.</summary>
internal static class GcsChecksum
{
    /// <summary>Base64 of the big-endian bytes.</summary>
    public static string Text(uint checksum)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes, checksum);
        return Convert.ToBase64String(bytes);
    }

    /// <summary>The crc32c among the values of x-goog-hash ("crc32c=…,md5=…"), or null.</summary>
    public static string? FromHeader(IEnumerable<string> values) => values
        .SelectMany(static v => v.Split(',', StringSplitOptions.TrimEntries))
        .Where(static v => v.StartsWith("crc32c=", StringComparison.Ordinal))
        .Select(static v => v["crc32c=".Length..])
        .FirstOrDefault();
}
