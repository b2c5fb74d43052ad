using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>A file of a data directory.</summary>
/// <param name="Path">Relative to the data directory, with '/'; those of a tablespace under pg_tblspc/OID.</param>
/// <param name="Source">Where to open it.</param>
/// <param name="Size">Bytes when it was listed.</param>
/// <param name="Modified">When it was changed.</param>
/// <param name="Mode">Its mode.</param>
/// <param name="Relation">The relation that it is a file of, or null for another file.</param>
internal sealed record DataFile(
    string Path, string Source, long Size, DateTimeOffset Modified, UnixFileMode Mode, RelationFile? Relation);

/// <summary>What a data directory holds that belongs in a backup.</summary>
/// <param name="Files">All files but pg_control, which is read last.</param>
/// <param name="Directories">All directories, parents first.</param>
/// <param name="Tablespaces">Tablespaces outside the data directory.</param>
internal sealed record DataListing(
    IReadOnlyList<DataFile> Files, IReadOnlyList<string> Directories, IReadOnlyList<TablespaceRecord> Tablespaces);

/// <summary>A file as it was stored.</summary>
/// <param name="Path">As in <see cref="DataFile"/>.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Modified">When it was changed.</param>
/// <param name="Crc">CRC-32C.</param>
/// <param name="XxHash128">XXH128, lower-case hex.</param>
/// <param name="Object">The object that holds it.</param>
internal sealed record StoredFile(string Path, long Size, DateTimeOffset Modified, uint Crc, string XxHash128, string Object)
{
    /// <summary>The checksum as PostgreSQL prints it.</summary>
    public string Crc32C => Postgres.Crc32C.Text(Crc);

    public FileRecord Record => new(Path, Size, Modified, Crc32C, XxHash128, Object);
}
