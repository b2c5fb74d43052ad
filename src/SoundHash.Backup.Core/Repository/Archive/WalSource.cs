using System.Security.Cryptography;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>A WAL file to archive: its name, its plain hash and its bytes. Files up to 64 MiB are read once and kept in memory.</summary>
public sealed class WalSource
{
    private const int MostInMemory = 64 * 1024 * 1024;
    private readonly string _path;
    private readonly byte[]? _bytes;
    private Lazy<Task<ReadOnlyMemory<byte>>>? _sealed;

    private WalSource(WalFileName name, string path, byte[]? bytes, byte[] first, long length, string sha256)
    {
        Name = name;
        _path = path;
        _bytes = bytes;
        First = first;
        Length = length;
        Sha256 = sha256;
    }

    /// <summary>The name to archive it under.</summary>
    public WalFileName Name { get; }

    /// <summary>Its first bytes, as many as a header has, or fewer.</summary>
    public ReadOnlyMemory<byte> First { get; }

    /// <summary>How many bytes it has.</summary>
    public long Length { get; }

    /// <summary>SHA-256 of its bytes, lower-case hex.</summary>
    public string Sha256 { get; }

    /// <summary>Reads a file.</summary>
    /// <exception cref="BackupException">It can't be read.</exception>
    public static async Task<WalSource> ReadAsync(WalFileName name, string path, CancellationToken cancel)
    {
        try
        {
            await using var file = Open(path);
            var length = file.Length;
            if (length <= MostInMemory)
            {
                // Not asynchronously: it is in the kernel's cache, and each await that waits costs start-up time.
                var bytes = GC.AllocateUninitializedArray<byte>((int)length);
                file.ReadExactly(bytes);
                return new WalSource(name, path, bytes, FirstOf(bytes), length, Convert.ToHexStringLower(SHA256.HashData(bytes)));
            }

            var first = new byte[WalHeader.Bytes];
            await file.ReadExactlyAsync(first, cancel);
            file.Position = 0;
            return new WalSource(name, path, null, first, length, Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancel)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotRead(path, e);
        }
    }

    /// <summary>Writes its bytes to a stage and does not complete it.</summary>
    /// <exception cref="BackupException">It can't be read, or is not what was hashed.</exception>
    public async Task CopyToAsync(WriteStage target, CancellationToken cancel)
    {
        if (_bytes is not null)
        {
            await target.WriteAsync(_bytes, cancel);
            return;
        }

        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using var file = Open(_path);
        int read;
        while ((read = await file.ReadAsync(buffer, cancel)) > 0)
        {
            hash.AppendData(buffer, 0, read);
            await target.WriteAsync(buffer.AsMemory(0, read), cancel);
        }

        if (Convert.ToHexStringLower(hash.GetHashAndReset()) != Sha256)
        {
            throw new BackupException(ErrorKind.Failed, $"{_path} changed while it was archived", "PostgreSQL keeps the file and tries again");
        }
    }

    /// <summary>Compresses and encrypts it once for several stores, where it is in memory.</summary>
    internal void ShareSealed(Seal seal)
    {
        if (_bytes is not null)
        {
            _sealed = new Lazy<Task<ReadOnlyMemory<byte>>>(async () =>
            {
                await using var memory = new MemoryTarget(_bytes.Length / 2);
                await SealAsync(seal, memory, CancellationToken.None);
                return memory.Bytes;
            });
        }
    }

    /// <summary>Writes it to a stage as it is to be stored, and completes the stage.</summary>
    /// <exception cref="BackupException">It can't be read, or is not what was hashed.</exception>
    internal async Task SealIntoAsync(Seal seal, WriteStage target, CancellationToken cancel)
    {
        if (_sealed is null)
        {
            await SealAsync(seal, target, cancel);
            return;
        }

        await target.WriteAsync(await _sealed.Value.WaitAsync(cancel), cancel);
        await target.CompleteAsync(cancel);
    }

    private async Task SealAsync(Seal seal, WriteStage target, CancellationToken cancel)
    {
        await using var sealing = seal.Compression.Compress(seal.Encryption?.Encrypt(target) ?? target);
        await CopyToAsync(sealing, cancel);
        await sealing.CompleteAsync(cancel);
    }

    private static byte[] FirstOf(byte[] bytes) => bytes[..Math.Min(bytes.Length, WalHeader.Bytes)];

    private static FileStream Open(string path) =>
        new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.SequentialScan);

    private static BackupException CannotRead(string path, Exception e) =>
        new(ErrorKind.Failed, $"can't read {path}: {e.Message}", "check the path and the disk; PostgreSQL keeps the file and tries again", e);
}
