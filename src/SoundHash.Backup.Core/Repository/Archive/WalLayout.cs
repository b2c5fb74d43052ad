using System.Globalization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>Where everything is in a store of WAL (docs/formats.md). A name has no suffix, whatever the form of what it holds.</summary>
public static class WalLayout
{
    /// <summary>
    /// The suffix of the file that decides a name's content: the SHA-256 of the plain bytes as coreutils write it, and where known
    /// the XXH128 of the stored ones (<see cref="WalSum"/>).
    /// </summary>
    public const string SumSuffix = ".sha256";

    /// <summary>The archive's own description, in the folder of its cluster.</summary>
    public const string ArchiveFile = "archive.json";

    /// <summary>What clean-ups removed, in the folder of its cluster.</summary>
    public const string RemovedFile = "removed.json";

    /// <summary>The folder of pieces that <c>wal-archive receive</c> stores.</summary>
    public const string Streaming = "streaming";

    /// <summary>The folder of a cluster, without a slash at its end.</summary>
    public static string SystemFolder(ulong systemIdentifier) => systemIdentifier.ToString(CultureInfo.InvariantCulture);

    /// <summary>The key of a WAL file.</summary>
    public static string KeyOf(ulong systemIdentifier, WalFileName name) => name.Kind == WalFileKind.TimelineHistory
        ? $"{SystemFolder(systemIdentifier)}/{name}"
        : $"{SystemFolder(systemIdentifier)}/{name.Timeline}/{name}";

    /// <summary>The folder of a cluster's pieces of unfinished segments, with a slash at its end.</summary>
    public static string PieceFolder(ulong systemIdentifier) => $"{SystemFolder(systemIdentifier)}/{Streaming}/";

    /// <summary>The key of a piece: segment, and where in it the piece begins and ends, each offset in eight hexadecimal digits.</summary>
    public static string KeyOf(ulong systemIdentifier, WalPiece piece) => PieceFolder(systemIdentifier) + piece.Name;
}
