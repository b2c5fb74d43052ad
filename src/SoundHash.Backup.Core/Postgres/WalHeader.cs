using System.Buffers.Binary;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>The long header that every segment begins with (XLogLongPageHeaderData, src/include/access/xlog_internal.h).</summary>
/// <param name="Magic">XLOG_PAGE_MAGIC, one for each major version.</param>
/// <param name="Timeline">The timeline of the first page.</param>
/// <param name="Start">Where the segment begins.</param>
/// <param name="SystemIdentifier">The cluster.</param>
/// <param name="SegmentBytes">The cluster's segment size.</param>
public sealed record WalHeader(ushort Magic, uint Timeline, Lsn Start, ulong SystemIdentifier, uint SegmentBytes)
{
    /// <summary>How many first bytes of a segment <see cref="TryRead"/> needs.</summary>
    public const int Bytes = 40;

    private const ushort LongHeader = 0x0002;

    /// <summary>Reads a header; null when there is none: a segment that was never written, say, or an encrypted file.</summary>
    public static WalHeader? TryRead(ReadOnlySpan<byte> first)
    {
        if (first.Length < Bytes)
        {
            return null;
        }

        var magic = BinaryPrimitives.ReadUInt16LittleEndian(first);
        var info = BinaryPrimitives.ReadUInt16LittleEndian(first[2..]);
        return magic >> 8 == 0xD1 && (info & LongHeader) != 0
            ? new WalHeader(
                magic,
                BinaryPrimitives.ReadUInt32LittleEndian(first[4..]),
                new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(first[8..])),
                BinaryPrimitives.ReadUInt64LittleEndian(first[24..]),
                BinaryPrimitives.ReadUInt32LittleEndian(first[32..]))
            : null;
    }

    /// <summary>
    /// Makes sure that a file is the segment that its name says. The first segment after a promotion begins with pages of the
    /// old timeline: its header may carry an ancestor of the name's.
    /// </summary>
    /// <param name="name">The file's name; of a segment or a partial one.</param>
    /// <param name="systemIdentifier">The cluster that it must come from.</param>
    /// <param name="history">The history of the name's timeline, or null where there is none.</param>
    /// <param name="fileBytes">The file's length.</param>
    /// <exception cref="BackupException">It is another one.</exception>
    public void EnsureIs(WalFileName name, ulong systemIdentifier, TimelineHistory? history, long fileBytes)
    {
        if (SystemIdentifier != systemIdentifier)
        {
            throw Wrong(name, $"comes from system identifier {SystemIdentifier}, and the cluster is {systemIdentifier}");
        }

        if (SegmentBytes != fileBytes || !WalSegment.IsSize(fileBytes))
        {
            throw Wrong(name, $"is {fileBytes} bytes long where its header says {SegmentBytes}");
        }

        if (!WalSegment.TryParse(name.Name[..24], (int)SegmentBytes, out var segment) || segment.Start != Start)
        {
            throw Wrong(name, $"holds the log from {Start} on, which its name does not say");
        }

        var isOfTimeline = Timeline == segment.Timeline
            || (history?.SwitchFrom(Timeline) is { } end && Start < end);
        if (!isOfTimeline)
        {
            throw Wrong(name, $"holds timeline {Timeline}, which is no ancestor of {segment.Timeline} there");
        }
    }

    private static BackupException Wrong(WalFileName name, string how) => new(
        ErrorKind.Verification,
        $"WAL file {name} {how}",
        "see which server writes to that pg_wal directory, and whether files were copied into it");
}
