using System.Text.Json;
using System.Text.Json.Serialization;

namespace SoundHash.Backup.Repository;

/// <summary>The encrypted description of a physical set: <c>contents.json</c>.</summary>
public sealed record PhysicalContents
{
    /// <summary>The data directory when it was backed up.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Every file, those of tablespaces under pg_tblspc/OID/.</summary>
    public required IReadOnlyList<FileRecord> Files { get; init; }

    /// <summary>Every directory, relative to the data directory, parents before children; those of tablespaces under pg_tblspc/OID/.</summary>
    public required IReadOnlyList<string> Directories { get; init; }

    /// <summary>Tablespaces outside the data directory.</summary>
    public required IReadOnlyList<TablespaceRecord> Tablespaces { get; init; }

    /// <summary>Configuration files outside the data directory, kept in the last archive under outside/ and their path.</summary>
    public required IReadOnlyList<string> OutsideFiles { get; init; }

    /// <summary>Fields of a later minor format.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Unknown { get; set; }
}

/// <summary>A file of a physical set.</summary>
/// <param name="Path">Relative to the data directory, with '/'.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Modified">Its time of modification when it was read.</param>
/// <param name="Crc32C">CRC-32C of its bytes as PostgreSQL's backup_manifest has it: eight hexadecimal digits.</param>
/// <param name="XxHash128">XXH128 of its bytes, lower-case hex: tells changed files from unchanged ones in a delta restore.</param>
/// <param name="Object">The object of the set that holds it.</param>
public sealed record FileRecord(string Path, long Size, DateTimeOffset Modified, string Crc32C, string XxHash128, string Object);

/// <summary>A tablespace.</summary>
/// <param name="Oid">Its oid: the name of its link in pg_tblspc.</param>
/// <param name="Name">Its name.</param>
/// <param name="Location">Its directory, absolute.</param>
public sealed record TablespaceRecord(uint Oid, string Name, string Location);
