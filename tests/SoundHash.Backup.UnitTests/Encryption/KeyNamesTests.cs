using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>Hints about keys name an option only where the verb has it.</summary>
public sealed class KeyNamesTests
{
    [Theory]
    [InlineData("BACKUP_DECRYPTION_IDENTITY_FILE", false)]
    [InlineData("BACKUP_DECRYPTION_IDENTITY_FILE or --identity", true)]
    public void An_identity_is_asked_for_by_the_names_that_the_verb_knows(string names, bool hasOption)
    {
        var settings = Read("BACKUP_DECRYPTION_IDENTITY_FILE", "--identity", hasOption, "/nowhere/identity.txt");

        var missing = Assert.Throws<BackupException>(() => Age(settings).Decrypt(Stream.Null, "object x"));
        var none = Assert.Throws<BackupException>(() => Age(settings with { IdentityFiles = [] }).Decrypt(Stream.Null, "object x"));

        Assert.Equal($"correct {names}", missing.Hint);
        Assert.StartsWith($"name the file with the secret key in {names} (", none.Hint, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("BACKUP_ENCRYPTION_KEY", false)]
    [InlineData("BACKUP_ENCRYPTION_KEY or --key", true)]
    public async Task A_recipient_is_asked_for_by_the_names_that_the_verb_knows(string names, bool hasOption)
    {
        var settings = Read("BACKUP_ENCRYPTION_KEY", "--key", hasOption, "nobody") with { Recipients = ["/nowhere/recipients.txt"] };

        var e = await Assert.ThrowsAsync<BackupException>(() => Age(settings).CheckRecipientsAsync(TestContext.Current.CancellationToken));

        Assert.Equal($"correct {names}", e.Hint);
    }

    [Theory]
    [InlineData("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")]
    [InlineData("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 somebody")]
    public void A_recipient_of_age_without_a_method_is_told_at_once(string key)
    {
        var settings = Settings.OfEnvironment(("BACKUP_ENCRYPTION_ENABLED", "true"), ("BACKUP_ENCRYPTION_KEY", key));

        EncryptionConfiguration.Read(settings);

        Assert.StartsWith(
            "BACKUP_ENCRYPTION_METHOD must be set to age, since BACKUP_ENCRYPTION_KEY has an age recipient", settings.Refused().Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpg", "backup@example.org")]
    [InlineData("", "backup@example.org")]
    [InlineData("age", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")]
    public void Method_and_recipient_that_fit_are_taken(string method, string key)
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_ENCRYPTION_ENABLED", "true"), ("BACKUP_ENCRYPTION_METHOD", method), ("BACKUP_ENCRYPTION_KEY", key));

        Assert.Equal([key], EncryptionConfiguration.Read(settings).Recipients);
        settings.ThrowIfInvalid();
    }

    private static AgeEncryption Age(EncryptionSettings settings) => new(Children.Launcher, settings);

    private static EncryptionSettings Read(string setting, string option, bool hasOption, string value) => EncryptionConfiguration.ReadForDecryption(
        new SettingsReader(
            hasOption ? [new SettingFlag(setting, option, null)] : [], new Dictionary<string, string> { [setting] = value }, null));
}
