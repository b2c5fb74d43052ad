using System.IO.Hashing;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// How a file gets into the archive: its bytes under no name, then its sum, which takes the name for this content, then the object under
/// that name. A sum without its object is of a run that was killed or is still writing. Two runs may compress or encrypt differently, so the stored hash
/// is withdrawn until one object is in place.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="name">The file.</param>
/// <param name="sha256">SHA-256 of its plain bytes, lower-case hex.</param>
/// <param name="key">The key of its object.</param>
/// <param name="beforeCommit">Runs before anything counts; throws to stop that.</param>
internal sealed class WalPut(IObjectStore store, WalFileName name, string sha256, string key, Action? beforeCommit)
{
    private static readonly ObjectAttributes Attributes = new(Kind: "wal");

    /// <summary>The sum that was there before this run.</summary>
    private WalSum? _before;

    /// <summary>The sum as this run left it.</summary>
    private WalSum? _own;

    /// <summary>Archives it. When it returns, the file is there, whole and durable.</summary>
    /// <param name="fill">Writes the bytes as they are to be stored, and completes the stage.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="WalConflictException">The archive has other bytes under that name; nothing was touched.</exception>
    public async Task<WalPutResult> RunAsync(Func<WriteStage, CancellationToken, Task> fill, CancellationToken cancel)
    {
        _before = await KnownAsync(cancel);
        if (_before is not null && await store.ConfirmAsync(key, cancel) is not null)
        {
            return WalPutResult.AlreadyThere;
        }

        if (_before is null && await store.StatAsync(key, cancel) is not null)
        {
            // Of a writer that was faster than we looked, or one whose sum was lost, which may hold anything.
            _before = await KnownAsync(cancel) ?? throw WithoutSum(store, key);
        }

        string hash;
        try
        {
            await using var writer = await store.OpenWriteAsync(key, WriteMode.CreateNew, Attributes, cancel);
            await using var target = new LastStage(writer, ReserveAsync);
            await fill(target, cancel);
            hash = target.Hash;
        }
        catch (ObjectExistsException)
        {
            // Somebody archived it since we looked, and the sum is the same: so is the content. Where it was whose sum was here first,
            // that says the truth.
            if (_before?.Stored is { } stored && _own is { Stored: null } withdrawn && await StoredHashAsync(store, key, cancel) == stored)
            {
                await RecordStoredAsync(withdrawn, stored, cancel);
            }

            return WalPutResult.AlreadyThere;
        }

        // It is archived: what is left to say of it is said also when we are to stop.
        await RecordStoredAsync(_own!, hash, CancellationToken.None);
        return WalPutResult.Stored;
    }

    // Takes the name when all bytes of the object are written, and before it counts.
    private async Task ReserveAsync(string hash, CancellationToken cancel)
    {
        beforeCommit?.Invoke();
        var own = new WalSum(sha256, hash);
        if (_before is null)
        {
            try
            {
                await own.WriteAsync(store, key, WriteMode.CreateNew, cancel);
                _own = own;
                return;
            }
            catch (ObjectExistsException)
            {
                _before = await KnownAsync(cancel) ?? throw WithoutSum(store, key);
            }
        }

        _own = await RecordStoredAsync(_before, _before.Stored == hash ? hash : null, cancel);
    }

    // The sum of the name, which is this file's, made durable; null when it has none.
    private async Task<WalSum?> KnownAsync(CancellationToken cancel)
    {
        if (await store.ConfirmAsync(key + WalLayout.SumSuffix, cancel) is null)
        {
            return null;
        }

        var known = await WalSum.ReadAsync(store, key, cancel);
        return known?.Sha256 == sha256
            ? known
            : throw new WalConflictException(name, store.Name, sha256, known?.Sha256 ?? "nothing");
    }

    // Records in the sum how the object is stored, or that this is not known.
    private async Task<WalSum> RecordStoredAsync(WalSum sum, string? stored, CancellationToken cancel)
    {
        var told = sum with { Stored = stored };
        if (told != sum)
        {
            await told.WriteAsync(store, key, WriteMode.Replace, cancel);
        }

        return told;
    }

    /// <summary>XXH128 of an object's bytes as they are stored.</summary>
    public static async Task<string> StoredHashAsync(IObjectStore store, string key, CancellationToken cancel)
    {
        var hash = new XxHash128();
        await using var stored = await store.OpenReadAsync(key, 0, cancel);
        await hash.AppendAsync(stored, cancel);
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    /// <summary>The error of an object without a sum.</summary>
    public static BackupException WithoutSum(IObjectStore store, string key) => new(
        ErrorKind.Verification,
        $"{key} in store {store.Name} has no {WalLayout.SumSuffix} beside it, so that its content can't be checked",
        "restore that file from another copy of the archive; where there is none, and PostgreSQL still has the segment, move the object aside");

    // The hash of what is stored is known when all of it is written.
    private sealed class LastStage(ObjectWriter writer, Func<string, CancellationToken, Task> beforeCommit) : WriteStage
    {
        private readonly XxHash128 _hash = new();

        public string Hash => Convert.ToHexStringLower(_hash.GetCurrentHash());

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _hash.Append(buffer.Span);
            await writer.WriteAsync(buffer, cancellationToken);
        }

        public override async Task CompleteAsync(CancellationToken cancel)
        {
            await beforeCommit(Hash, cancel);
            await writer.CompleteAsync(cancel);
        }

        public override ValueTask DisposeAsync() => writer.DisposeAsync();
    }
}
