using System.Buffers.Binary;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// What we need of global/pg_control without a server or a program (src/include/catalog/pg_control.h). Only what stands
/// where it stands in every version; pg_controldata knows the rest.
/// </summary>
/// <param name="SystemIdentifier">The cluster.</param>
public sealed record ControlFile(ulong SystemIdentifier)
{
    /// <summary>Where it is in a data directory.</summary>
    public const string RelativePath = "global/pg_control";

    // PG_CONTROL_FILE_SIZE; what it holds is at most PG_CONTROL_MAX_SAFE_SIZE.
    private const int FileBytes = 8192;
    private const int MostUsed = 512;
    private const int LeastUsed = 200;

    /// <summary>
    /// True when a copy is whole: the server writes the file while we read it. The checksum is the last field, whose place
    /// differs from version to version: it is where the checksum of all before it stands, with nothing but zeros behind.
    /// </summary>
    public static bool IsWhole(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != FileBytes)
        {
            return false;
        }

        var end = bytes[..MostUsed].LastIndexOfAnyExcept((byte)0) + 1;
        // The checksum itself may end in zeros.
        for (var at = Math.Max(LeastUsed, (end - 4) & ~3); at <= MostUsed - 4 && at < end + 4; at += 4)
        {
            if (Crc32C.Of(bytes[..at]) == BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Reads the system identifier of a data directory.</summary>
    /// <exception cref="BackupException">It has none, or it can't be read.</exception>
    public static ControlFile Read(string dataDirectory)
    {
        var path = Path.Combine(dataDirectory, RelativePath);
        try
        {
            Span<byte> first = stackalloc byte[8];
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return RandomAccess.Read(file, first, 0) == first.Length
                ? new ControlFile(BinaryPrimitives.ReadUInt64LittleEndian(first))
                : throw new BackupException(ErrorKind.Verification, $"{path} is cut", "this is no data directory of a whole cluster");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Failed, $"can't read {path}: {e.Message}", "run this as the user that PostgreSQL runs as, and check the path", e);
        }
    }
}
