using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Repository;

/// <summary>
/// Passes decrypted bytes on. When decryption fails, reads the stored object to its end first: a damaged object can't
/// be decrypted either, and only when the stored bytes are as recorded is the key to blame.
/// </summary>
internal sealed class DamageBeforeKeyStage(Stream decrypted, Func<Task<Stream>> openStored) : ReadStage
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await decrypted.ReadAsync(buffer, cancellationToken);
        }
        catch (BackupException e) when (e.Kind == ErrorKind.Encryption)
        {
            await using var stored = await openStored();
            await StreamCopy.DrainAsync(stored, null, cancellationToken);
            throw;
        }
    }

    public override ValueTask DisposeAsync() => decrypted.DisposeAsync();
}
