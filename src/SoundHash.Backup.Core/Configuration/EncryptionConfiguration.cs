using SoundHash.Backup.Encryption;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how objects are encrypted and decrypted.</summary>
public static class EncryptionConfiguration
{
    private const string NoGpgRecipient = "must name a recipient, since encryption is on: a gpg fingerprint, key id or user id";
    private const string NoAgeRecipient =
        "must name a recipient, since encryption is on: a public key age1… (age-keygen -o identity.txt makes a key pair; " +
        "a passphrase can't stand in for it, since age asks for one on a terminal)";

    private const string Key = "BACKUP_ENCRYPTION_KEY";
    private const string Method = "BACKUP_ENCRYPTION_METHOD";
    private const string IdentityFile = "BACKUP_DECRYPTION_IDENTITY_FILE";

    private static readonly string[] MeanEncryption = [Key, Method];

    /// <summary>Reads what writing needs; problems are left in the reader.</summary>
    public static EncryptionSettings Read(SettingsReader settings)
    {
        var method = settings.Flag("BACKUP_ENCRYPTION_ENABLED")
            ? settings.Choice(Method, "gpg", "age") switch
            {
                "age" => EncryptionMethod.Age,
                "gpg" => EncryptionMethod.Gpg,
                _ => EncryptionMethod.None,
            }
            : EncryptionMethod.None;
        var recipients = settings.List(Key);
        // Whoever names a key means to encrypt: a line that is lost or misspelt must not mean a backup in clear text.
        if (MeanEncryption.FirstOrDefault(name => settings.Given(name) is not null) is { } meant && settings.Given("BACKUP_ENCRYPTION_ENABLED") is null)
        {
            settings.Problem("BACKUP_ENCRYPTION_ENABLED", null, $"must say true or false, since {meant} is set");
        }

        foreach (var unknown in settings.UnknownNames.Where(n => method == EncryptionMethod.None && SettingNames.IsLikeOurs(n) && n.Contains("ENCRYPT", StringComparison.Ordinal)))
        {
            settings.Problem(unknown, null, "is unknown, and might mean that backups are to be encrypted: see BACKUP_ENCRYPTION_ENABLED, _METHOD and _KEY");
        }

        if (method != EncryptionMethod.None && recipients.Count == 0)
        {
            settings.Problem(Key, null, method == EncryptionMethod.Age ? NoAgeRecipient : NoGpgRecipient);
        }

        // gpg, the default, would only not find such a key.
        if (method == EncryptionMethod.Gpg && settings.Given(Method) is null && recipients.Any(AgeEncryption.IsKey))
        {
            settings.Problem(Method, null, $"must be set to age, since {settings.NamesOf(Key)} has an age recipient (age1… or ssh-…); gpg is the default");
        }

        // Of age's recipients, what is no key is a path; gpg's are names of keys.
        var fromFile = settings.ComesFromFile(Key);
        string Recipient(string text) =>
            method == EncryptionMethod.Age && !AgeEncryption.IsKey(text) ? settings.Absolute(text, fromFile) : text;
        return ReadForDecryption(settings) with { Method = method, Recipients = recipients.Select(Recipient).ToList() };
    }

    /// <summary>Reads what reading needs.</summary>
    public static EncryptionSettings ReadForDecryption(SettingsReader settings) => new(
        EncryptionMethod.None, [], settings.PathList(IdentityFile), settings.PathOf("BACKUP_GPG_PASSPHRASE_FILE"))
    {
        KeyNames = settings.NamesOf(Key),
        IdentityNames = settings.NamesOf(IdentityFile),
    };
}
