using SoundHash.Backup.Encryption;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how objects are encrypted and decrypted.</summary>
public static class EncryptionConfiguration
{
    /// <summary>Reads what writing needs; problems are left in the reader.</summary>
    public static EncryptionSettings Read(SettingsReader settings)
    {
        var method = settings.Flag("BACKUP_ENCRYPTION_ENABLED")
            ? settings.Choice("BACKUP_ENCRYPTION_METHOD", "gpg", "age") switch
            {
                "age" => EncryptionMethod.Age,
                "gpg" => EncryptionMethod.Gpg,
                _ => EncryptionMethod.None,
            }
            : EncryptionMethod.None;
        var recipients = settings.List("BACKUP_ENCRYPTION_KEY");
        if (method != EncryptionMethod.None && recipients.Count == 0)
        {
            settings.Problem("BACKUP_ENCRYPTION_KEY", null, "must name a recipient, since BACKUP_ENCRYPTION_ENABLED is true");
        }

        var fromFile = settings.ComesFromFile("BACKUP_ENCRYPTION_KEY");
        return ReadForDecryption(settings) with
        {
            Method = method,
            Recipients = recipients.Select(r => method == EncryptionMethod.Age && !AgeEncryption.IsKey(r) ? settings.Absolute(r, fromFile) : r).ToList(),
        };
    }

    /// <summary>Reads what reading needs.</summary>
    public static EncryptionSettings ReadForDecryption(SettingsReader settings) => new(
        EncryptionMethod.None, [], settings.PathList("BACKUP_DECRYPTION_IDENTITY_FILE"), settings.GivenPath("BACKUP_GPG_PASSPHRASE_FILE"));
}
