using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace SoundHash.Backup.Postgres;

/// <summary>CRC-32C as PostgreSQL computes it (src/port/pg_crc32c_sb8.c): for pg_control and backup_manifest.</summary>
public static class Crc32C
{
    /// <summary>What a sum begins with.</summary>
    public const uint Start = uint.MaxValue;

    /// <summary>The checksum of some bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes) => Finish(Add(Start, bytes));

    /// <summary>Adds bytes to a sum, with the processor's own instruction where it has one.</summary>
    public static uint Add(uint sum, ReadOnlySpan<byte> bytes)
    {
        foreach (var word in MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            sum = BitOperations.Crc32C(sum, word);
        }

        foreach (var rest in bytes[(bytes.Length & ~7)..])
        {
            sum = BitOperations.Crc32C(sum, rest);
        }

        return sum;
    }

    /// <summary>The checksum that a sum comes to.</summary>
    public static uint Finish(uint sum) => ~sum;

    /// <summary>A checksum as PostgreSQL prints it: its four bytes in memory order.</summary>
    public static string Text(uint checksum)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, checksum);
        return Convert.ToHexStringLower(bytes);
    }
}
