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

        return first.StartsWith("-----BEGIN PGP MESSAGE-----"u8) || (first.Length > 1 && IsSessionKeyPacket(first))
            ? EncryptionMethod.Gpg
            : EncryptionMethod.None;
    }

    private static bool IsSessionKeyPacket(ReadOnlySpan<byte> first)
    {
        var isNewFormat = first[0] >= 0xC0;
        var tag = isNewFormat ? first[0] & 0x3F : first[0] >= 0x80 ? (first[0] >> 2) & 0x0F : 0;
        var lengthBytes = isNewFormat
            ? first[1] switch { < 192 => 1, < 224 => 2, _ => 5 }
            : (first[0] & 3) switch { 0 => 1, 1 => 2, _ => 4 };
        if (first.Length <= 1 + lengthBytes)
        {
            return false;
        }

        // The version follows the length: 3 of a session key for a public key, 4 or 5 of one for a passphrase.
        var version = first[1 + lengthBytes];
        return (tag == 1 && version == 3) || (tag == 3 && version is 4 or 5);
    }
}
