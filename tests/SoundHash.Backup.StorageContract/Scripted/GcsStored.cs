using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json.Nodes;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>One generation of an object of the scripted bucket.</summary>
public sealed class GcsStored(string name, byte[] bytes, long generation, JsonObject description)
{
    public string Name => name;

    public ReadOnlyMemory<byte> Bytes => bytes;

    public long Generation => generation;

    public long Metageneration { get; set; } = 1;

    public DateTimeOffset Created { get; init; } = TimeProvider.System.GetUtcNow();

    public string? StorageClass { get; } = description["storageClass"]?.GetValue<string>();

    public string? KmsKey { get; set; }

    public IReadOnlyDictionary<string, string> Metadata { get; set; } =
        description["metadata"]?.AsObject().ToDictionary(static p => p.Key, static p => p.Value!.GetValue<string>()) ?? [];

    public string? RetentionMode { get; set; } = description["retention"]?["mode"]?.GetValue<string>();

    public DateTimeOffset? RetainUntil { get; set; } = description["retention"]?["retainUntilTime"]?.GetValue<DateTimeOffset>();

    public bool IsHeld { get; set; }

    public string Crc32c { get; set; } = Sum(bytes);

    public static string Sum(ReadOnlySpan<byte> bytes)
    {
        var sum = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(sum, SoundHash.Backup.Postgres.Crc32C.Of(bytes));
        return Convert.ToBase64String(sum);
    }

    /// <summary>As the JSON API describes it: numbers are texts.</summary>
    public JsonObject Describe()
    {
        var described = new JsonObject
        {
            ["kind"] = "storage#object",
            ["name"] = name,
            ["bucket"] = ScriptedGcs.Bucket,
            ["size"] = bytes.Length.ToString(CultureInfo.InvariantCulture),
            ["generation"] = generation.ToString(CultureInfo.InvariantCulture),
            ["metageneration"] = Metageneration.ToString(CultureInfo.InvariantCulture),
            ["timeCreated"] = Created.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
            ["crc32c"] = Crc32c,
            ["storageClass"] = StorageClass ?? "STANDARD",
            ["metadata"] = new JsonObject(Metadata.Select(static m => KeyValuePair.Create(m.Key, (JsonNode?)JsonValue.Create(m.Value)))),
        };
        if (IsHeld)
        {
            described["temporaryHold"] = true;
        }

        if (RetainUntil is { } until)
        {
            described["retention"] = new JsonObject { ["mode"] = RetentionMode, ["retainUntilTime"] = until.ToString("O", CultureInfo.InvariantCulture) };
            described["retentionExpirationTime"] = until.ToString("O", CultureInfo.InvariantCulture);
        }

        return described;
    }
}
