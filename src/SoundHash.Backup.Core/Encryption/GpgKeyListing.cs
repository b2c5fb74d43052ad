using System.Globalization;

namespace SoundHash.Backup.Encryption;

/// <summary>A public key of the gpg keyring.</summary>
/// <param name="Fingerprint">Of the primary key.</param>
/// <param name="State">In words: valid, expired, revoked, disabled, invalid, without a usable key for encryption.</param>
/// <param name="CanEncrypt">The key or a usable subkey has the capability.</param>
/// <param name="Expires">When the key expires, or null.</param>
public sealed record GpgKey(string Fingerprint, string State, bool CanEncrypt, DateTimeOffset? Expires)
{
    /// <summary>True when data can be encrypted to the key at a moment.</summary>
    public bool CanEncryptAt(DateTimeOffset now) => CanEncrypt && (Expires is not { } expires || expires > now);
}

/// <summary>Reads `gpg --with-colons --list-keys` (GnuPG, doc/DETAILS).</summary>
public static class GpgKeyListing
{
    /// <summary>The primary keys of a listing.</summary>
    public static IReadOnlyList<GpgKey> Parse(string listing)
    {
        var keys = new List<GpgKey>();
        string[]? primary = null;
        foreach (var fields in listing.Split('\n').Select(static l => l.Split(':')))
        {
            if (fields is ["pub", ..] && fields.Length > 11)
            {
                primary = fields;
            }
            else if (primary is not null && fields is ["fpr", ..] && fields.Length > 9)
            {
                keys.Add(Key(primary, fields[9]));
                primary = null;
            }
        }

        return keys;
    }

    private static GpgKey Key(string[] pub, string fingerprint)
    {
        var state = pub[1] switch
        {
            "e" => "expired",
            "r" => "revoked",
            "d" => "disabled",
            "i" or "n" => "invalid",
            _ => "valid",
        };
        // Upper-case letters of the capability field are those of the whole key, subkeys included; D is disabled.
        var capable = pub[11].Contains('E', StringComparison.Ordinal) && !pub[11].Contains('D', StringComparison.Ordinal);
        DateTimeOffset? expires = long.TryParse(pub[6], CultureInfo.InvariantCulture, out var seconds)
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : null;
        return new GpgKey(
            fingerprint,
            state == "valid" && !capable ? "without a usable key for encryption" : state,
            capable && state == "valid",
            expires);
    }
}
