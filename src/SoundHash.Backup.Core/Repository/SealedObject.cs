using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>
/// The one way into and out of the repository: plain bytes ⇄ hash ⇄ compression ⇄ encryption ⇄ hash ⇄ store. No
/// temporary copy is made, and no plain byte touches a disk.
/// </summary>
public sealed class SealedObject : WriteStage
{
    private readonly HashingWriteStage _plain;
    private readonly HashingWriteStage _stored;
    private readonly ObjectRecord _template;
    private ObjectRecord? _record;

    private SealedObject(HashingWriteStage plain, HashingWriteStage stored, ObjectRecord template)
    {
        _plain = plain;
        _stored = stored;
        _template = template;
    }

    /// <summary>What the manifest says of the object; known once completed.</summary>
    public ObjectRecord Record => _record ?? throw new InvalidOperationException("the object is not complete");

    /// <summary>Begins an object; CompleteAsync publishes it.</summary>
    /// <param name="open">Opens where it goes to, by its key in the set.</param>
    /// <param name="name">Its plain name, e.g. database.dump; suffixes are added.</param>
    /// <param name="role">What it is.</param>
    /// <param name="seal">How it is compressed and encrypted.</param>
    public static async Task<SealedObject> CreateAsync(Func<string, Task<ObjectWriter>> open, string name, ObjectRole role, Seal seal)
    {
        var method = seal.Encryption?.Method ?? EncryptionMethod.None;
        var key = name + Compression.Suffix(seal.Compression.Method) + EncryptionFormat.Suffix(method);
        var stored = new HashingWriteStage(await open(key), SumKind.Sha256);
        var encrypted = seal.Encryption?.Encrypt(stored) ?? stored;
        var plain = new HashingWriteStage(seal.Compression.Compress(encrypted), SumKind.XxHash128);
        return new SealedObject(plain, stored, new ObjectRecord
        {
            Key = key,
            Role = role,
            StoredBytes = 0,
            StoredSha256 = string.Empty,
            PlainBytes = 0,
            PlainXxHash128 = string.Empty,
            Compression = seal.Compression.Method,
            Encryption = method,
            Recipients = seal.Recipients,
        });
    }

    /// <summary>Opens the stored bytes of an object; a difference from the record is thrown in place of the end.</summary>
    public static async Task<Stream> OpenStoredAsync(IObjectStore store, string setId, ObjectRecord record, CancellationToken cancel)
    {
        var stored = await store.OpenReadAsync(RepositoryLayout.InSet(setId, record.Key), 0, cancel);
        return new VerifyingReadStage(stored, $"object {record.Key} of set {setId}", record.StoredBytes, ContentSum.Sha256(record.StoredSha256));
    }

    /// <summary>
    /// Opens the plain bytes of an object; a difference from the record, stored or plain, is thrown in place of the end. Of several copies
    /// the next takes over where one is damaged.
    /// </summary>
    /// <param name="store">Where from.</param>
    /// <param name="setId">The set that it belongs to.</param>
    /// <param name="record">What the manifest says of it.</param>
    /// <param name="check">How the plain bytes are compared.</param>
    /// <param name="providers">Makes the provider of a method.</param>
    /// <param name="cancel">Cancels.</param>
    public static Task<Stream> OpenPlainAsync(
        IObjectStore store,
        string setId,
        ObjectRecord record,
        PlainCheck check,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        CancellationToken cancel) => store is JoinedReader copies
            ? copies.OpenAnyAsync(
                RepositoryLayout.InSet(setId, record.Key),
                $"object {record.Key} of set {setId}",
                (one, token) => OpenPlainOfOneAsync(one, setId, record, check, providers, token),
                cancel)
            : OpenPlainOfOneAsync(store, setId, record, check, providers, cancel);

    private static async Task<Stream> OpenPlainOfOneAsync(
        IObjectStore store,
        string setId,
        ObjectRecord record,
        PlainCheck check,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        CancellationToken cancel)
    {
        var subject = $"object {record.Key} of set {setId}";
        var stored = await OpenStoredAsync(store, setId, record, cancel);
        try
        {
            var decrypted = record.Encryption == EncryptionMethod.None ? stored : providers(record.Encryption).Decrypt(stored, subject);
            var told = new DamageBeforeKeyStage(decrypted, () => OpenStoredAsync(store, setId, record, cancel));
            ContentSum? sum = check == PlainCheck.Whole ? ContentSum.XxHash128(record.PlainXxHash128) : null;
            var plain = Compression.Decompress(record.Compression, told, subject);
            return new VerifyingReadStage(plain, $"{subject}, decoded,", record.PlainBytes, sum);
        }
        catch
        {
            await stored.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _plain.WriteAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override async Task CompleteAsync(CancellationToken cancel)
    {
        await _plain.CompleteAsync(cancel);
        _record = _template with
        {
            PlainBytes = _plain.Bytes,
            PlainXxHash128 = _plain.Hex,
            StoredBytes = _stored.Bytes,
            StoredSha256 = _stored.Hex,
        };
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => _plain.DisposeAsync();
}

/// <summary>How the objects of a run are compressed and encrypted.</summary>
/// <param name="Compression">The compression.</param>
/// <param name="Encryption">The provider, its recipients checked; or null for none.</param>
/// <param name="Recipients">The recipients as recorded.</param>
public sealed record Seal(Compression Compression, IEncryptionProvider? Encryption, IReadOnlyList<string> Recipients);
