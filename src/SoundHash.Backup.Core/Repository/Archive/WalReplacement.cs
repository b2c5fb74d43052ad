using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// Puts a good file in the place of a damaged one. What the name's content is was decided when it was first archived: only a
/// file with that sum takes the place. The damaged object is first copied beside, durably, and nothing removes that copy.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="systemIdentifier">The cluster.</param>
/// <param name="time">The clock.</param>
public sealed class WalReplacement(IObjectStore store, ulong systemIdentifier, TimeProvider time)
{
    /// <summary>What stands between a file's name and the time in the name of the copy of the damaged one.</summary>
    public const string DamagedInfix = ".damaged-";

    /// <summary>Puts a file in the place of the damaged one of its name.</summary>
    /// <returns>The key of the damaged object's copy.</returns>
    /// <exception cref="BackupException">The file is another one than was archived, or the store can't be written.</exception>
    public async Task<string> ReplaceAsync(WalSource source, Seal seal, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, source.Name);
        var known = await WalSum.ReadAsync(store, key, cancel);
        if (known is not null && known.Sha256 != source.Sha256)
        {
            throw new WalConflictException(source.Name, store.Name, source.Sha256, known.Sha256);
        }

        var aside = string.Create(CultureInfo.InvariantCulture, $"{key}{DamagedInfix}{time.GetUtcNow().UtcDateTime:yyyyMMdd'T'HHmmss'Z'}");
        await using (var damaged = await store.OpenReadAsync(key, 0, cancel))
        {
            await using var copy = await store.OpenWriteAsync(aside, WriteMode.CreateNew, cancel);
            await damaged.CopyToAsync(copy, StreamCopy.ChunkBytes, cancel);
            await copy.CompleteAsync(cancel);
        }

        // While the object changes, its sum does not say how it is stored.
        var sum = new WalSum(source.Sha256, null);
        await sum.WriteAsync(store, key, WriteMode.Replace, cancel);
        await using (var writer = new HashingWriteStage(await store.OpenWriteAsync(key, WriteMode.Replace, cancel), SumKind.XxHash128))
        {
            await using var sealing = seal.Compression.Compress(seal.Encryption?.Encrypt(writer) ?? writer);
            await source.CopyToAsync(sealing, cancel);
            await sealing.CompleteAsync(cancel);
            sum = sum with { Stored = writer.Hex };
        }

        await sum.WriteAsync(store, key, WriteMode.Replace, cancel);
        return aside;
    }
}
