using System.Globalization;

namespace SoundHash.Backup.Postgres;

/// <summary>A position in the write-ahead log, in bytes since the cluster's beginning. Text as PostgreSQL writes pg_lsn: 16/B374D848.</summary>
/// <param name="Value">Bytes.</param>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    /// <summary>Reads PostgreSQL's text; false when it is none.</summary>
    public static bool TryParse(string? text, out Lsn lsn)
    {
        lsn = default;
        if (text?.Split('/') is not [{ Length: > 0 and <= 8 } high, { Length: > 0 and <= 8 } low]
            || !uint.TryParse(high, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var upper)
            || !uint.TryParse(low, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var lower))
        {
            return false;
        }

        lsn = new Lsn(((ulong)upper << 32) | lower);
        return true;
    }

    /// <summary>Reads PostgreSQL's text.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static Lsn Parse(string? text) => TryParse(text, out var lsn) ? lsn : throw new FormatException($"'{text}' is no LSN");

    /// <summary>Before.</summary>
    public static bool operator <(Lsn left, Lsn right) => left.Value < right.Value;

    /// <summary>After.</summary>
    public static bool operator >(Lsn left, Lsn right) => left.Value > right.Value;

    /// <summary>Before, or the same.</summary>
    public static bool operator <=(Lsn left, Lsn right) => left.Value <= right.Value;

    /// <summary>After, or the same.</summary>
    public static bool operator >=(Lsn left, Lsn right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    /// <summary>As PostgreSQL writes it: no leading zeros.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Value >> 32:X}/{Value & uint.MaxValue:X}");
}
