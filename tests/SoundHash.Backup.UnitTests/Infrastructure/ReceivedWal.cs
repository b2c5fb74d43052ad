using System.Buffers.Binary;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>WAL as pg_receivewal leaves it: segments of 1 MiB, filled with zeros behind what was received.</summary>
internal static class ReceivedWal
{
    public const ulong System = 7300000000000000002;
    public const int SegmentBytes = 1 << 20;
    private const int PageBytes = 8192;

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

    /// <summary>A segment with records as PostgreSQL writes them, up to a position at least, and where each of them ends.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="random">Their lengths and their bytes, none of which is zero.</param>
    /// <param name="atLeast">The last one ends at or behind this; at the segment's size, it goes on in the next one.</param>
    /// <param name="continued">How much of a record of the segment before it begins with.</param>
    /// <param name="givenUp">The first page from here on that begins within a record begins anew instead: a crash had cut the record.</param>
    public static (byte[] Bytes, IReadOnlyList<int> Ends) Log(
        WalSegment segment, Random random, int atLeast, int continued = 0, int givenUp = int.MaxValue)
    {
        var bytes = new byte[SegmentBytes];
        var ends = new List<int>();
        var at = 0;
        if (continued > 0)
        {
            Put(NoZeros(random, continued), isContinued: true);
        }

        while (at < atLeast)
        {
            var record = NoZeros(random, random.Next(24, 12_000));
            BinaryPrimitives.WriteInt32LittleEndian(record, record.Length);
            record[16] = 0x10;
            record[17] = 10;
            var crc = Crc32C.Add(Crc32C.Add(Crc32C.Start, record.AsSpan(24)), record.AsSpan(0, 20));
            BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(20), Crc32C.Finish(crc));
            Put(record, isContinued: false);
        }

        return (bytes, ends);

        void Put(byte[] record, bool isContinued)
        {
            for (var done = 0; done < record.Length && at < SegmentBytes;)
            {
                if (at % PageBytes == 0)
                {
                    var remaining = done > 0 || isContinued ? record.Length - done : 0;
                    if (at >= givenUp && remaining > 0)
                    {
                        givenUp = int.MaxValue;
                        at += PutHeader(at, 0, 8);
                        return;
                    }

                    at += PutHeader(at, remaining, remaining > 0 ? 1 : 0);
                }

                var part = Math.Min(record.Length - done, PageBytes - (at % PageBytes));
                record.AsSpan(done, part).CopyTo(bytes.AsSpan(at));
                (done, at) = (done + part, at + part);
            }

            at = (at + 7) & ~7;
            ends.Add(at);
        }

        int PutHeader(int page, int remaining, int flags)
        {
            var header = bytes.AsSpan(page);
            BinaryPrimitives.WriteUInt16LittleEndian(header, 0xD110);
            BinaryPrimitives.WriteUInt16LittleEndian(header[2..], (ushort)(flags | (page == 0 ? 2 : 0)));
            BinaryPrimitives.WriteUInt32LittleEndian(header[4..], segment.Timeline);
            BinaryPrimitives.WriteUInt64LittleEndian(header[8..], segment.Start.Value + (ulong)page);
            BinaryPrimitives.WriteInt32LittleEndian(header[16..], remaining);
            if (page > 0)
            {
                return 24;
            }

            BinaryPrimitives.WriteUInt64LittleEndian(header[24..], System);
            BinaryPrimitives.WriteUInt32LittleEndian(header[32..], SegmentBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(header[36..], PageBytes);
            return WalHeader.Bytes;
        }
    }

    private static byte[] NoZeros(Random random, int length)
    {
        var bytes = new byte[length];
        for (var i = 0; i < length; i++)
        {
            bytes[i] = (byte)random.Next(1, 256);
        }

        return bytes;
    }
}
