using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Encryption;

/// <summary>Encryption by the age program.</summary>
/// <param name="launcher">Starts age.</param>
/// <param name="settings">
/// Recipients: age1… and ssh-… public keys, or paths of recipients files; and files with secret keys, none on a host that only encrypts.
/// </param>
public sealed class AgeEncryption(ProcessLauncher launcher, EncryptionSettings settings) : IEncryptionProvider
{
    private const string SecretKeyPrefix = "AGE-SECRET-KEY-";

    private readonly AgeIdentities _identities = new(launcher, settings);

    /// <summary>With settings of their usual names.</summary>
    public AgeEncryption(ProcessLauncher launcher, IReadOnlyList<string> recipients, IReadOnlyList<string> identityFiles)
        : this(launcher, new EncryptionSettings(EncryptionMethod.Age, recipients, identityFiles, null))
    {
    }

    /// <inheritdoc/>
    public EncryptionMethod Method => EncryptionMethod.Age;

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> CheckRecipientsAsync(CancellationToken cancel)
    {
        if (settings.Recipients.Count == 0)
        {
            throw new BackupException(
                ErrorKind.Encryption,
                "no age recipient is given; a passphrase can't be used here, since age asks for it on a terminal",
                $"make a key pair with age-keygen -o identity.txt and give its public key, age1…, as {settings.KeyNames}");
        }

        var keys = settings.Recipients.SelectMany(Keys).ToList();
        await TryEncryptAsync(cancel);
        return keys;
    }

    /// <inheritdoc/>
    public WriteStage Encrypt(WriteStage next) => new EncryptStage(launcher.Start(EncryptCommand()), next, settings.KeyNames);

    /// <inheritdoc/>
    public Stream Decrypt(Stream source, string subject)
    {
        if (settings.IdentityFiles.Count == 0)
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"{subject} is encrypted with age and no identity is given",
                $"name the file with the secret key in {settings.IdentityNames}"
                + " (a file with a passphrase instead of keys: age --decrypt FILE on a terminal)");
        }

        string[] arguments = ["--decrypt", .. _identities.Paths.SelectMany(static p => new[] { "--identity", p })];
        var child = launcher.Start(new ChildCommand(Program(), arguments));
        return new DecryptStage(child, source, subject, HintFor);
    }

    // age looks for the identity's part of the header first, and reads the content with the key in there. Without a passphrase,
    // age 1.0 says what it could not read.
    private string HintFor(string stderr) =>
        stderr.Contains("passphrase-encrypted", StringComparison.Ordinal) || stderr.Contains("could not read passphrase", StringComparison.Ordinal)
        ? "age asks for a passphrase on a terminal only: age --decrypt FILE there; what is encrypted to a key (age-keygen) opens without one"
        : IsDamage(stderr)
        ? "use another copy: this one is cut or damaged"
        : $"check that the identity belongs to a recipient of the backup: {string.Join(", ", settings.IdentityFiles)}";

    private static bool IsDamage(string stderr) => ((string[])[
        "failed to read header", "failed to parse header", "bad header MAC", "failed to read nonce", "payload chunk", "unexpected EOF",
    ]).Any(words => stderr.Contains(words, StringComparison.Ordinal));

    internal static string Program() => ProgramPath.Require("age", "age");

    private ChildCommand EncryptCommand()
    {
        var arguments = new List<string> { "--encrypt" };
        foreach (var recipient in settings.Recipients)
        {
            arguments.AddRange([IsKey(recipient) ? "--recipient" : "--recipients-file", recipient]);
        }

        return new ChildCommand(Program(), arguments);
    }

    private async Task TryEncryptAsync(CancellationToken cancel)
    {
        await using var child = launcher.Start(EncryptCommand());
        try
        {
            child.CloseInput();
            await StreamCopy.DiscardOutputAsync(child, cancel);
            await child.EnsureSuccessAsync(cancel);
        }
        catch (ChildProcessException e)
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"age can't encrypt to the given recipients: {e.Message}",
                $"correct {settings.KeyNames}",
                e);
        }
    }

    private IEnumerable<string> Keys(string recipient)
    {
        if (recipient.StartsWith(SecretKeyPrefix, StringComparison.OrdinalIgnoreCase))
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"{settings.KeyNames} holds an age secret key where a public one belongs",
                "put the public key there (age-keygen -y identity.txt prints it), and treat this secret key as disclosed");
        }

        if (IsKey(recipient))
        {
            return [WithoutComment(recipient)];
        }

        if (!File.Exists(recipient))
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"age recipient '{recipient}' is neither a public key (age1…, ssh-ed25519 …, ssh-rsa …) nor a file",
                $"correct {settings.KeyNames}");
        }

        return File.ReadLines(recipient).Select(static l => l.Trim())
            .Where(static l => l.Length > 0 && l[0] != '#').Select(WithoutComment);
    }

    /// <summary>True for a public key, false for what must then be a recipients file.</summary>
    public static bool IsKey(string recipient) =>
        recipient.StartsWith("age1", StringComparison.Ordinal) || recipient.StartsWith("ssh-", StringComparison.Ordinal)
        || recipient.StartsWith(SecretKeyPrefix, StringComparison.OrdinalIgnoreCase);

    private static string WithoutComment(string key) =>
        string.Join(' ', key.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(2));
}
