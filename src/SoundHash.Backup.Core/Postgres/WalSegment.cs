using System.Globalization;
using System.Runtime.InteropServices;

namespace SoundHash.Backup.Postgres;

/// <summary>A segment of the write-ahead log (src/include/access/xlog_internal.h).</summary>
/// <param name="Timeline">Its timeline, from 1.</param>
/// <param name="Number">Its number from the cluster's beginning: what it holds begins at Number × size.</param>
/// <param name="SizeBytes">The cluster's segment size: a power of two from 1 MiB to 1 GiB.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct WalSegment(uint Timeline, ulong Number, int SizeBytes)
{
    /// <summary>initdb's default segment size: 16 MiB.</summary>
    public const int DefaultSizeBytes = 16 * 1024 * 1024;

    /// <summary>Where it begins.</summary>
    public Lsn Start => new(Number * (ulong)SizeBytes);

    /// <summary>Where the next one begins.</summary>
    public Lsn End => new((Number + 1) * (ulong)SizeBytes);

    /// <summary>The next one on the same timeline.</summary>
    public WalSegment Next => this with { Number = Number + 1 };

    /// <summary>PostgreSQL's name of it: 24 hexadecimal digits.</summary>
    public string Name => string.Create(
        CultureInfo.InvariantCulture, $"{Timeline:X8}{Number / PerId(SizeBytes):X8}{Number % PerId(SizeBytes):X8}");

    /// <summary>True for a segment size that PostgreSQL can have.</summary>
    public static bool IsSize(long bytes) => bytes is >= 1 << 20 and <= 1 << 30 && (bytes & (bytes - 1)) == 0;

    /// <summary>The segment that holds the byte at a position.</summary>
    public static WalSegment Of(uint timeline, Lsn position, int sizeBytes) => new(timeline, position.Value / (ulong)sizeBytes, sizeBytes);

    /// <summary>The segment that holds the last byte before a position: what ends exactly at a boundary needs no byte of the next one.</summary>
    public static WalSegment Before(uint timeline, Lsn position, int sizeBytes) => Of(timeline, new Lsn(position.Value - 1), sizeBytes);

    /// <summary>Reads a name of 24 digits; false when it is none of a cluster with this segment size.</summary>
    public static bool TryParse(string name, int sizeBytes, out WalSegment segment)
    {
        segment = default;
        if (name.Length != 24 || !name.All(static c => char.IsAsciiDigit(c) || c is >= 'A' and <= 'F'))
        {
            return false;
        }

        var low = Hex(name[16..]);
        segment = new WalSegment(Hex(name[..8]), (Hex(name[8..16]) * PerId(sizeBytes)) + low, sizeBytes);
        return segment.Timeline > 0 && low < PerId(sizeBytes);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static uint Hex(string digits) => uint.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static ulong PerId(int sizeBytes) => (1UL << 32) / (ulong)sizeBytes;
}
