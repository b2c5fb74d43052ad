using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Repository;

/// <summary>
/// Undoes compression and encryption of an object whose form is told by its own first bytes and by nothing else: a WAL file
/// keeps its name and its readers when the settings change.
/// </summary>
internal static class SealedForm
{
    /// <summary>The plain bytes.</summary>
    /// <param name="stored">The stored bytes; disposed with the result.</param>
    /// <param name="subject">What is read, for messages.</param>
    /// <param name="providers">Makes the provider of a method.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task<Stream> OpenAsync(
        Stream stored, string subject, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var (encryption, encrypted) = await PeekStage.ReadAsync(stored, EncryptionFormat.ProbeBytes, EncryptionFormat.Detect, cancel);
        var decrypted = encryption == EncryptionMethod.None ? encrypted : providers(encryption).Decrypt(encrypted, subject);
        var (compression, compressed) = await PeekStage.ReadAsync(decrypted, 4, Compression.Detect, cancel);
        return Compression.Decompress(compression, compressed, subject);
    }
}
