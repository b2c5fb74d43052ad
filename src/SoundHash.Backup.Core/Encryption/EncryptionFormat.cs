namespace SoundHash.Backup.Encryption;

/// <summary>Names of encryption methods and how encrypted data is told by its first bytes.</summary>
public static class EncryptionFormat
{
    /// <summary>How many first bytes <see cref="Detect"/> looks at.</summary>
    public const int ProbeBytes = 40;

    /// <summary>The file name suffix of a method, with its dot, or nothing.</summary>
    public static string Suffix(EncryptionMethod method) => method switch
    {
        EncryptionMethod.Age => ".age",
        EncryptionMethod.Gpg => ".gpg",
        _ => string.Empty,
    };

    /// <summary>
    /// Tells the method by the first bytes: the age header, an OpenPGP session key packet (RFC 4880 §4.2, tags 1 and 3),
    /// or the armour line of either.
    /// </summary>
    public static EncryptionMethod Detect(ReadOnlySpan<byte> first)
    {
        if (first.StartsWith("age-encryption.org/v1"u8) || first.StartsWith("-----BEGIN AGE ENCRYPTED FILE-----"u8))
        {
            return EncryptionMethod.Age;
        }

        return first.StartsWith("-----BEGIN PGP MESSAGE-----"u8) || (first.Length > 3 && IsSessionKeyPacket(first))
            ? EncryptionMethod.Gpg
            : EncryptionMethod.None;
    }

    private static bool IsSessionKeyPacket(ReadOnlySpan<byte> first)
    {
        // The version byte follows the length: 3 for a public-key session key, 4 (or 5) for a symmetric one.
        var oldFormat = first[0] is 0x84 or 0x85 or 0x8C;
        var versionAt = first[0] == 0x85 ? 3 : 2;
        return (oldFormat || first[0] is 0xC1 or 0xC3) && first[versionAt] is 3 or 4 or 5;
    }
}
