using System.Security.Cryptography;
using System.Text;

namespace SoundHash.Backup.Repository;

/// <summary>
/// The last field of a manifest: the SHA-256 of all bytes before its line, so that no flipped bit passes for another date, tier
/// or database. It guards against damage and not against an enemy. By hand: <c>head -n -2 manifest.json | sha256sum</c>.
/// </summary>
internal static class ManifestChecksum
{
    private const string Opening = "  \"sha256\": \"";
    private const string Closing = "\"\n}";
    private static readonly int LineBytes = Line([]).Length;

    /// <summary>Appends the field to a JSON object.</summary>
    public static byte[] Add(ReadOnlySpan<byte> json)
    {
        byte[] before = [.. json[..json.LastIndexOf((byte)'}')].TrimEnd("\n"u8), .. ",\n"u8];
        return [.. before, .. Line(before)];
    }

    /// <summary>The JSON object without the field, or null when the field is missing or does not fit.</summary>
    public static byte[]? Remove(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length <= LineBytes + 2)
        {
            return null;
        }

        var before = bytes[..^LineBytes];
        return bytes[^LineBytes..].SequenceEqual(Line(before)) && before.EndsWith(",\n"u8) ? [.. before[..^2], .. "\n}"u8] : null;
    }

    private static byte[] Line(ReadOnlySpan<byte> before) =>
        Encoding.ASCII.GetBytes($"{Opening}{Convert.ToHexStringLower(SHA256.HashData(before))}{Closing}");
}
