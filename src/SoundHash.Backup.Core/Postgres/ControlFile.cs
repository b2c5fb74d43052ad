using System.Buffers.Binary;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// What we need of global/pg_control without a server or a program (src/include/catalog/pg_control.h). Only what stands
/// where it stands in every version; pg_controldata knows the rest.
/// </summary>
/// <param name="SystemIdentifier">The cluster.</param>
/// <param name="Checkpoint">Its last checkpoint.</param>
public sealed record ControlFile(ulong SystemIdentifier, ControlCheckpoint Checkpoint)
{
    /// <summary>DB_IN_PRODUCTION: a server runs on it, or did when its machine stopped, and takes writes.</summary>
    public const int InProduction = 6;

    /// <summary>Where it is in a data directory.</summary>
    public const string RelativePath = "global/pg_control";

    // PG_CONTROL_FILE_SIZE; what it holds is at most PG_CONTROL_MAX_SAFE_SIZE.
    private const int FileBytes = 8192;
    private const int MostUsed = 512;
    private const int LeastUsed = 200;

    // Up to checkPointCopy.ThisTimeLineID.
    private const int ReadBytes = 52;

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

    /// <summary>The system identifier in the bytes of the file.</summary>
    public static ulong SystemIdentifierOf(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt64LittleEndian(bytes);

    /// <summary>Makes sure that a copy is whole and a cluster's own: what is restored with another one does not start, or is not that cluster.</summary>
    /// <param name="bytes">The copy.</param>
    /// <param name="systemIdentifier">The cluster.</param>
    /// <param name="server">Where it comes from, for the message.</param>
    /// <exception cref="BackupException">It is not.</exception>
    public static void EnsureIs(ReadOnlySpan<byte> bytes, ulong systemIdentifier, string server)
    {
        if (!IsWhole(bytes))
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"the {RelativePath} that came from {server} is damaged: its checksum is wrong",
                "run the backup again, since the server may have written it at that moment; if it happens again, see pg_controldata there");
        }

        if (SystemIdentifierOf(bytes) is var came && came != systemIdentifier)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"the {RelativePath} that came from {server} is of system identifier {came}, and the server is {systemIdentifier}",
                "behind one address are several servers: set DATABASE_HOST and DATABASE_PORT to one of them");
        }
    }

    /// <summary>Reads the file of a data directory. It may be read while the server writes it; the system identifier is right all the same.</summary>
    /// <exception cref="BackupException">It has none, or it can't be read.</exception>
    public static ControlFile Read(string dataDirectory)
    {
        var path = Path.Combine(dataDirectory, RelativePath);
        try
        {
            Span<byte> first = stackalloc byte[ReadBytes];
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return RandomAccess.Read(file, first, 0) == first.Length
                ? new ControlFile(SystemIdentifierOf(first), ControlCheckpoint.Of(first))
                : throw new BackupException(ErrorKind.Verification, $"{path} is cut", "this is no data directory of a whole cluster");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Failed, $"can't read {path}: {e.Message}", "run this as the user that PostgreSQL runs as, and check the path", e);
        }
    }
}

/// <summary>What pg_control says of its cluster's state (ControlFileData).</summary>
/// <param name="State">DBState.</param>
/// <param name="Written">When the file was last written, in seconds since 1970.</param>
/// <param name="Checkpoint">Where the last checkpoint is in the WAL.</param>
/// <param name="Redo">Where replay from it begins.</param>
/// <param name="Timeline">Its timeline.</param>
public sealed record ControlCheckpoint(int State, long Written, Lsn Checkpoint, Lsn Redo, uint Timeline)
{
    internal static ControlCheckpoint Of(ReadOnlySpan<byte> file) => new(
        BinaryPrimitives.ReadInt32LittleEndian(file[16..]),
        BinaryPrimitives.ReadInt64LittleEndian(file[24..]),
        new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(file[32..])),
        new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(file[40..])),
        BinaryPrimitives.ReadUInt32LittleEndian(file[48..]));
}
