namespace SoundHash.Backup.Encryption;

/// <summary>How objects are encrypted and decrypted.</summary>
/// <param name="Method">None when encryption is off.</param>
/// <param name="Recipients">Public keys.</param>
/// <param name="IdentityFiles">age identity files, absolute.</param>
/// <param name="GpgPassphraseFile">Absolute, or null.</param>
public sealed record EncryptionSettings(
    EncryptionMethod Method, IReadOnlyList<string> Recipients, IReadOnlyList<string> IdentityFiles, string? GpgPassphraseFile)
{
    /// <summary>Where a verb takes its recipients from, in the words of a hint.</summary>
    public string KeyNames { get; init; } = "BACKUP_ENCRYPTION_KEY";

    /// <summary>Where a verb takes its identity files from, in the words of a hint.</summary>
    public string IdentityNames { get; init; } = "BACKUP_DECRYPTION_IDENTITY_FILE";
}
