using SoundHash.Backup.Configuration;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Encryption;

/// <summary>Makes the provider of a method from the settings.</summary>
public sealed class EncryptionProviders(ProcessLauncher launcher, TimeProvider time, EncryptionConfiguration configuration)
{
    /// <summary>The provider of a method other than none.</summary>
    public IEncryptionProvider For(EncryptionMethod method) => method switch
    {
        EncryptionMethod.Age => new AgeEncryption(launcher, configuration.Recipients, configuration.IdentityFiles),
        EncryptionMethod.Gpg => new GpgEncryption(launcher, time, configuration.Recipients, configuration.GpgPassphraseFile),
        _ => throw new ArgumentOutOfRangeException(nameof(method), method, "no encryption has no provider"),
    };

    /// <summary>The provider to write with and its checked recipients; null and none when encryption is off.</summary>
    public async Task<(IEncryptionProvider? Provider, IReadOnlyList<string> Recipients)> ForWritingAsync(CancellationToken cancel)
    {
        if (configuration.Method == EncryptionMethod.None)
        {
            return (null, []);
        }

        var provider = For(configuration.Method);
        return (provider, await provider.CheckRecipientsAsync(cancel));
    }
}
