using System.Buffers.Binary;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>WAL as pg_receivewal leaves it: segments of 1 MiB, filled with zeros behind what was received.</summary>
internal static class ReceivedWal
{
    public const ulong System = 7300000000000000002;
    public const int SegmentBytes = 1 << 20;

    public static WalSegment Segment(ulong number, uint timeline = 1) => new(timeline, number, SegmentBytes);

    public static WalFileName Name(WalSegment segment) => WalFileName.Parse(segment.Name);

    /// <summary>A segment of which so many bytes were received, with no zero among them but in the header.</summary>
    public static byte[] Bytes(WalSegment segment, Random random, int received = SegmentBytes)
    {
        var bytes = new byte[SegmentBytes];
        for (var at = 0; at < received; at++)
        {
            bytes[at] = (byte)random.Next(1, 256);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(bytes, 0xD110);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), 2);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), segment.Timeline);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), segment.Start.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), System);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(32), SegmentBytes);
        return bytes;
    }
}
