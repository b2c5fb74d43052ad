using System.IO.Hashing;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// A WAL file as it is to be stored. One that fits into memory is compressed and encrypted there first, so that the sum that
/// is written before the object can say how it is stored.
/// </summary>
internal sealed class SealedWal
{
    private readonly WalSource _source;
    private readonly Seal _seal;
    private readonly MemoryStage? _bytes;

    private SealedWal(WalSource source, Seal seal, MemoryStage? bytes)
    {
        _source = source;
        _seal = seal;
        _bytes = bytes;
        Hash = bytes is null ? null : Convert.ToHexStringLower(XxHash128.Hash(bytes.Written.Span));
    }

    /// <summary>XXH128 of the stored bytes, lower-case hex; null while it is not known.</summary>
    public string? Hash { get; private set; }

    /// <summary>Seals a file.</summary>
    /// <exception cref="Errors.BackupException">It can't be read or encrypted.</exception>
    public static async Task<SealedWal> OfAsync(WalSource source, Seal seal, CancellationToken cancel)
    {
        if (!source.IsInMemory)
        {
            return new SealedWal(source, seal, null);
        }

        var memory = new MemoryStage();
        await WriteAsync(source, seal, memory, null, cancel);
        return new SealedWal(source, seal, memory);
    }

    /// <summary>Writes it to an object and completes that.</summary>
    /// <param name="target">The object.</param>
    /// <param name="beforeCommit">Runs when all bytes are written and before they count; throws to stop that.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task StoreAsync(ObjectWriter target, Action? beforeCommit, CancellationToken cancel)
    {
        if (_bytes is not null)
        {
            await target.WriteAsync(_bytes.Written, cancel);
            beforeCommit?.Invoke();
            await target.CompleteAsync(cancel);
            return;
        }

        await using var hashing = new HashingWriteStage(target, SumKind.XxHash128);
        await WriteAsync(_source, _seal, hashing, beforeCommit, cancel);
        Hash = hashing.Hex;
    }

    private static async Task WriteAsync(WalSource source, Seal seal, WriteStage target, Action? beforeCommit, CancellationToken cancel)
    {
        await using var sealing = seal.Compression.Compress(seal.Encryption?.Encrypt(target) ?? target);
        await source.CopyToAsync(sealing, cancel);
        beforeCommit?.Invoke();
        await sealing.CompleteAsync(cancel);
    }

    // Where a pipeline ends in memory.
    private sealed class MemoryStage : WriteStage
    {
        private readonly System.Buffers.ArrayBufferWriter<byte> _written = new(1024 * 1024);

        public ReadOnlyMemory<byte> Written => _written.WrittenMemory;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            System.Buffers.BuffersExtensions.Write(_written, buffer.Span);
            return ValueTask.CompletedTask;
        }

        public override Task CompleteAsync(CancellationToken cancel) => Task.CompletedTask;

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
