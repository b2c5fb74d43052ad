using System.Text.Json;
using System.Text.Json.Serialization;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Repository;

/// <summary>JSON of the repository's files, generated at compile time: no reflection at start-up.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters =
    [
        typeof(LowerCaseEnum<SetKind>), typeof(LowerCaseEnum<Tier>), typeof(LowerCaseEnum<ObjectRole>), typeof(LowerCaseEnum<RelationKind>),
        typeof(LowerCaseEnum<CompressionMethod>), typeof(LowerCaseEnum<EncryptionMethod>),
    ],
    WriteIndented = true,
    RespectNullableAnnotations = true,
    MaxDepth = 16)]
[JsonSerializable(typeof(Manifest))]
[JsonSerializable(typeof(Contents))]
[JsonSerializable(typeof(PhysicalContents))]
[JsonSerializable(typeof(RepositoryRecord))]
[JsonSerializable(typeof(IntentRecord))]
[JsonSerializable(typeof(KeepRecord))]
[JsonSerializable(typeof(WalArchiveRecord))]
[JsonSerializable(typeof(WalRemovedRecord))]
internal sealed partial class RepositoryJson : JsonSerializerContext;

/// <summary>Enumerations as words: pre-data, logical. Numbers are refused.</summary>
internal sealed class LowerCaseEnum<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false)
    where T : struct, Enum;
