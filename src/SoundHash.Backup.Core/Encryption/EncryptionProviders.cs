using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Encryption;

/// <summary>The providers of a run, made from the settings when they are first needed.</summary>
public sealed class EncryptionProviders(ProcessLauncher launcher, TimeProvider time, EncryptionSettings settings)
{
    private readonly Lazy<AgeEncryption> _age = new(() => new AgeEncryption(launcher, settings));
    private readonly Lazy<GpgEncryption> _gpg = new(
        () => new GpgEncryption(launcher, time, settings));

    /// <summary>The provider of a method other than none; always the same one.</summary>
    public IEncryptionProvider For(EncryptionMethod method) => method switch
    {
        EncryptionMethod.Age => _age.Value,
        EncryptionMethod.Gpg => _gpg.Value,
        _ => throw new ArgumentOutOfRangeException(nameof(method), method, "no encryption has no provider"),
    };

    /// <summary>The provider to write with and its checked recipients; null and none when encryption is off.</summary>
    public async Task<(IEncryptionProvider? Provider, IReadOnlyList<string> Recipients)> ForWritingAsync(CancellationToken cancel)
    {
        if (settings.Method == EncryptionMethod.None)
        {
            return (null, []);
        }

        var provider = For(settings.Method);
        return (provider, await provider.CheckRecipientsAsync(cancel));
    }
}
