using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Encryption;

/// <summary>
/// Encryption by the gpg program and its keyring. Each recipient is resolved to exactly one usable key and used by its
/// fingerprint, so that "trust always" trusts the configured key and no other.
/// </summary>
/// <param name="launcher">Starts gpg.</param>
/// <param name="time">The clock, for expiry.</param>
/// <param name="settings">
/// Recipients: fingerprints, key ids or user ids; and a file with the secret key's passphrase, none when the agent knows it.
/// </param>
public sealed class GpgEncryption(ProcessLauncher launcher, TimeProvider time, EncryptionSettings settings) : IEncryptionProvider
{
    // A message that is cut before its data ends with exit code 0 and no output: only this line tells (doc/DETAILS).
    private const string Decrypted = "[GNUPG:] DECRYPTION_OKAY";

    private IReadOnlyList<string> _fingerprints = [];

    /// <summary>With settings of their usual names.</summary>
    public GpgEncryption(ProcessLauncher launcher, TimeProvider time, IReadOnlyList<string> recipients, string? passphraseFile)
        : this(launcher, time, new EncryptionSettings(EncryptionMethod.Gpg, recipients, [], passphraseFile))
    {
    }

    /// <inheritdoc/>
    public EncryptionMethod Method => EncryptionMethod.Gpg;

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> CheckRecipientsAsync(CancellationToken cancel)
    {
        if (settings.Recipients.Count == 0)
        {
            throw new BackupException(
                ErrorKind.Encryption,
                "no gpg recipient is given",
                $"name the fingerprint of a key of gpg --list-keys in {settings.KeyNames}");
        }

        var found = new List<string>();
        foreach (var recipient in settings.Recipients)
        {
            found.Add(await FingerprintAsync(recipient, cancel));
        }

        _fingerprints = found;
        return found;
    }

    /// <inheritdoc/>
    public WriteStage Encrypt(WriteStage next)
    {
        // No compression: zstd came before, and gpg's own costs more than it saves.
        var arguments = new List<string> { "--batch", "--no-tty", "--quiet", "--trust-model", "always", "--compress-algo", "none" };
        foreach (var fingerprint in _fingerprints)
        {
            arguments.AddRange(["--recipient", fingerprint]);
        }

        arguments.AddRange(["--output", "-", "--encrypt"]);
        return new EncryptStage(launcher.Start(new ChildCommand(Program(), arguments)), next, settings.KeyNames);
    }

    /// <inheritdoc/>
    public Stream Decrypt(Stream source, string subject)
    {
        var arguments = new List<string> { "--batch", "--quiet", "--status-fd", "2" };
        if (settings.GpgPassphraseFile is { } passphraseFile)
        {
            if (!File.Exists(passphraseFile))
            {
                throw new BackupException(
                    ErrorKind.Encryption, $"passphrase file {passphraseFile} does not exist", "correct BACKUP_GPG_PASSPHRASE_FILE");
            }

            arguments.AddRange(["--no-tty", "--pinentry-mode", "loopback", "--passphrase-file", passphraseFile]);
        }

        arguments.AddRange(["--output", "-", "--decrypt"]);
        // Without a passphrase file the agent may have to ask for it through pinentry.
        var command = new ChildCommand(Program(), arguments) { KeepTerminal = settings.GpgPassphraseFile is null && !Console.IsInputRedirected };
        return new DecryptStage(
            launcher.Start(command),
            source,
            subject,
            static _ => "the secret key must be in the keyring (gpg --list-secret-keys; GNUPGHOME says which), and its passphrase in BACKUP_GPG_PASSPHRASE_FILE",
            Decrypted);
    }

    private static string Program() => ProgramPath.Require("gpg", "gnupg");

    private async Task<string> FingerprintAsync(string recipient, CancellationToken cancel)
    {
        string listing;
        try
        {
            listing = await launcher.ReadOutputAsync(
                new ChildCommand(Program(), ["--batch", "--no-tty", "--with-colons", "--list-keys", "--", recipient]), cancel);
        }
        catch (ChildProcessException e)
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"gpg knows no key '{recipient}'",
                "import the public key (gpg --import FILE) into the keyring of the user that runs shbackup",
                e);
        }

        var keys = GpgKeyListing.Parse(listing);
        var usable = keys.Where(k => k.CanEncryptAt(time.GetUtcNow())).ToList();
        return usable.Count switch
        {
            1 => usable[0].Fingerprint,
            0 => throw new BackupException(
                ErrorKind.Encryption,
                $"gpg key '{recipient}' can't be encrypted to: {string.Join(", ", keys.Select(Describe))}",
                "extend the key (gpg --quick-set-expire) and import it anew, or configure another one"),
            _ => throw new BackupException(
                ErrorKind.Encryption,
                $"'{recipient}' fits {usable.Count} gpg keys: {string.Join(", ", usable.Select(static k => k.Fingerprint))}",
                "configure the fingerprint of the one that is meant"),
        };
    }

    private static string Describe(GpgKey key) => key.Expires is { } expires
        ? string.Create(CultureInfo.InvariantCulture, $"{key.Fingerprint} ({key.State}, expires {expires:yyyy-MM-dd})")
        : $"{key.Fingerprint} ({key.State})";
}
