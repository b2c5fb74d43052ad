using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Repository;

/// <summary>What a set holds.</summary>
public enum SetKind
{
    /// <summary>One database, by pg_dump.</summary>
    Logical,

    /// <summary>A whole cluster, as a base backup.</summary>
    Physical,
}

/// <summary>The retention class of a set.</summary>
public enum Tier
{
    /// <summary>Daily sets, 30 days by default.</summary>
    Standard,

    /// <summary>Weekly sets, 90 days by default.</summary>
    Extended,

    /// <summary>Monthly sets, 365 days by default.</summary>
    Archive,
}

/// <summary>What an object of a set is.</summary>
public enum ObjectRole
{
    /// <summary>Tables with row counts, database properties.</summary>
    Contents,

    /// <summary>Roles and tablespaces.</summary>
    Globals,

    /// <summary>A whole database in one archive.</summary>
    Dump,

    /// <summary>The definitions that come before the data.</summary>
    PreData,

    /// <summary>Rows: of one big table, or of everything small with sequences and large objects.</summary>
    Data,

    /// <summary>Indexes, constraints and triggers.</summary>
    PostData,

    /// <summary>Files of a data directory, as tar.</summary>
    Volume,

    /// <summary>What a restored data directory gets last, as tar: pg_control, backup_label, backup_manifest, outside configuration.</summary>
    Final,
}

/// <summary>
/// The commit point of a set: <c>manifest.json</c>, clear text, written last, deleted first and never changed. Holds no
/// table names. The format is docs/formats.md; fields that this version does not know are kept.
/// </summary>
public sealed record Manifest
{
    /// <summary>The format that this version writes, and the newest that it reads.</summary>
    public const int CurrentFormat = 1;

    /// <summary>Format of this manifest.</summary>
    public required int FormatVersion { get; init; }

    /// <summary>The set's id, the name of its folder.</summary>
    public required string Id { get; init; }

    /// <summary>Shared by the sets of one run.</summary>
    public required string RunId { get; init; }

    /// <summary>The name that the run was given; the id begins with it.</summary>
    public required string Name { get; init; }

    /// <summary>What the set holds.</summary>
    public required SetKind Kind { get; init; }

    /// <summary>The database of a logical set; empty for a physical one, which holds all of its cluster.</summary>
    public required string Database { get; init; }

    /// <summary>The retention class.</summary>
    public required Tier Tier { get; init; }

    /// <summary>When the snapshot was taken, by the database's clock. Sets are ordered by it.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>When the last byte was read, by the database's clock.</summary>
    public required DateTimeOffset Stopped { get; init; }

    /// <summary>When the set expires by the settings of the run that made it; the settings of the day decide.</summary>
    public required DateTimeOffset Expires { get; init; }

    /// <summary>The version of shbackup.</summary>
    public required string ToolVersion { get; init; }

    /// <summary>The version of the server.</summary>
    public required string ServerVersion { get; init; }

    /// <summary>The version of pg_dump; pg_restore must be at least as new. Empty for a physical set.</summary>
    public required string DumpVersion { get; init; }

    /// <summary>PostgreSQL's system identifier of the cluster, or null where the role may not read it.</summary>
    public string? SystemIdentifier { get; init; }

    /// <summary>Size of the database on the server in bytes, for estimates.</summary>
    public required long DatabaseBytes { get; init; }

    /// <summary>What only a base backup has; null for a logical set.</summary>
    public PhysicalFacts? Physical { get; init; }

    /// <summary>The objects of the set besides manifest and SHA256SUMS.</summary>
    public required IReadOnlyList<ObjectRecord> Objects { get; init; }

    /// <summary>Fields of a later minor format.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Unknown { get; set; }

    /// <summary>Bytes of all objects as stored.</summary>
    [JsonIgnore]
    public long StoredBytes => Objects.Sum(static o => o.StoredBytes);

    /// <summary>Bytes of all objects before compression and encryption.</summary>
    [JsonIgnore]
    public long PlainBytes => Objects.Sum(static o => o.PlainBytes);

    /// <summary>The major version of the pg_dump that made the set.</summary>
    [JsonIgnore]
    public int DumpMajor => MajorOf(DumpVersion);

    /// <summary>The major version of the server that it was made of.</summary>
    [JsonIgnore]
    public int ServerMajor => MajorOf(ServerVersion);

    /// <summary>The only object of a role.</summary>
    /// <exception cref="BackupException">There is none.</exception>
    public ObjectRecord Single(ObjectRole role) =>
        Objects.FirstOrDefault(o => o.Role == role)
        ?? throw new BackupException(ErrorKind.Verification, $"set {Id} has no object of role {role.Word()}");

    private static int MajorOf(string version) =>
        int.TryParse(version.Split('.')[0], CultureInfo.InvariantCulture, out var major) ? major : 0;
}

/// <summary>One object of a set.</summary>
public sealed record ObjectRecord
{
    /// <summary>Its name in the set's folder.</summary>
    public required string Key { get; init; }

    /// <summary>What it is.</summary>
    public required ObjectRole Role { get; init; }

    /// <summary>Bytes in the store.</summary>
    public required long StoredBytes { get; init; }

    /// <summary>SHA-256 of the bytes in the store, lower-case hex.</summary>
    public required string StoredSha256 { get; init; }

    /// <summary>Bytes before compression and encryption.</summary>
    public required long PlainBytes { get; init; }

    /// <summary>XXH128 of the bytes before compression and encryption, lower-case hex.</summary>
    public required string PlainXxHash128 { get; init; }

    /// <summary>How it is compressed.</summary>
    public required CompressionMethod Compression { get; init; }

    /// <summary>How it is encrypted.</summary>
    public required EncryptionMethod Encryption { get; init; }

    /// <summary>To whom: age or ssh public keys, or OpenPGP fingerprints.</summary>
    public IReadOnlyList<string> Recipients { get => field ?? []; init; } = []; // absent in JSON is null, whatever the initializer

    /// <summary>Fields of a later minor format.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Unknown { get; set; }
}
