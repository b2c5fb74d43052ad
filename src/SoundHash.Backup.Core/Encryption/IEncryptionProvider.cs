using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Encryption;

/// <summary>How an object is encrypted. The names are part of the repository format.</summary>
public enum EncryptionMethod
{
    /// <summary>Not encrypted.</summary>
    None,

    /// <summary>age, format v1 (age-encryption.org/v1).</summary>
    Age,

    /// <summary>OpenPGP, by gpg.</summary>
    Gpg,
}

/// <summary>
/// Encrypts and decrypts streams in a format that the method's own program reads and writes. Encrypting needs only
/// public recipients, decrypting needs identities; a provider may have either or both. Providers keep no plaintext
/// on disk and take no secret on a command line.
/// </summary>
public interface IEncryptionProvider
{
    /// <summary>The method.</summary>
    EncryptionMethod Method { get; }

    /// <summary>
    /// Checks that data can be encrypted to every configured recipient and returns them as they are recorded: age and
    /// ssh public keys, or OpenPGP fingerprints. Called once before a backup begins, so that a bad key fails it early.
    /// </summary>
    /// <exception cref="Errors.BackupException">A recipient is missing, unknown, ambiguous or expired.</exception>
    Task<IReadOnlyList<string>> CheckRecipientsAsync(CancellationToken cancel);

    /// <summary>Puts encryption before a stage. <see cref="CheckRecipientsAsync"/> must have succeeded.</summary>
    WriteStage Encrypt(WriteStage next);

    /// <summary>Decrypts a stream. Its end is only reached when the whole was authentic.</summary>
    /// <param name="source">The encrypted stream; disposed with the result.</param>
    /// <param name="subject">What is read, for messages.</param>
    Stream Decrypt(Stream source, string subject);
}
