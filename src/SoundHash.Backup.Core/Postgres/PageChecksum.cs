using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// The checksum of a data page (src/include/storage/checksum_impl.h): 32 sums side by side, eight vectors here. A vector
/// of 128 bits is what every processor has, and with eight of them none waits for the other.
/// </summary>
public static class PageChecksum
{
    private const uint Prime = 16777619;

    // pd_checksum is in the low half of the third word, and counts as zero.
    private static readonly Vector128<uint> WithoutChecksum = Vector128.Create(uint.MaxValue, uint.MaxValue, 0xFFFF0000u, uint.MaxValue);

    private static ReadOnlySpan<uint> BaseOffsets =>
    [
        0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
        0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
        0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
        0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
    ];

    /// <summary>The checksum that a page should have.</summary>
    /// <param name="page">The page, a multiple of 128 bytes.</param>
    /// <param name="block">Its number in its relation's fork.</param>
    public static ushort Of(ReadOnlySpan<byte> page, uint block)
    {
        var rows = MemoryMarshal.Cast<byte, Vector128<uint>>(page);
        var start = MemoryMarshal.Cast<uint, Vector128<uint>>(BaseOffsets);
        var (a, b, c, d, e, f, g, h) = (start[0], start[1], start[2], start[3], start[4], start[5], start[6], start[7]);
        a = Mix(a, rows[0] & WithoutChecksum);
        for (var at = 0; ;)
        {
            b = Mix(b, rows[at + 1]);
            c = Mix(c, rows[at + 2]);
            d = Mix(d, rows[at + 3]);
            e = Mix(e, rows[at + 4]);
            f = Mix(f, rows[at + 5]);
            g = Mix(g, rows[at + 6]);
            h = Mix(h, rows[at + 7]);
            at += 8;
            if (at >= rows.Length)
            {
                break;
            }

            a = Mix(a, rows[at]);
        }

        var sum = Finish(a) ^ Finish(b) ^ Finish(c) ^ Finish(d) ^ Finish(e) ^ Finish(f) ^ Finish(g) ^ Finish(h);
        return (ushort)(((sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ block) % 65535) + 1);
    }

    /// <summary>True for a page that was added to its file and never written (PageIsNew, and nothing else in it either).</summary>
    public static bool IsEmpty(ReadOnlySpan<byte> page) => !page.ContainsAnyExcept((byte)0);

    /// <summary>The checksum that a page has (pd_checksum of PageHeaderData, src/include/storage/bufpage.h).</summary>
    public static ushort Stored(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt16LittleEndian(page[8..]);

    /// <summary>The end of the last WAL record that changed a page (pd_lsn).</summary>
    public static Lsn LsnOf(ReadOnlySpan<byte> page) => new(
        ((ulong)BinaryPrimitives.ReadUInt32LittleEndian(page) << 32) | BinaryPrimitives.ReadUInt32LittleEndian(page[4..]));

    private static Vector128<uint> Mix(Vector128<uint> sum, Vector128<uint> value)
    {
        var mixed = sum ^ value;
        return (mixed * Prime) ^ (mixed >>> 17);
    }

    // Two rounds of zeros.
    private static Vector128<uint> Finish(Vector128<uint> sum) => Mix(Mix(sum, Vector128<uint>.Zero), Vector128<uint>.Zero);
}
