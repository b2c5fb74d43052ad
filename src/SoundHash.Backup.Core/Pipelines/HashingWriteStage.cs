using System.Security.Cryptography;

namespace SoundHash.Backup.Pipelines;

/// <summary>Passes bytes on unchanged and takes their SHA-256 and count.</summary>
public sealed class HashingWriteStage(WriteStage next) : WriteStage
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>Bytes passed on so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>SHA-256 of all bytes in lower-case hex; known once completed.</summary>
    public string Sha256 { get; private set; } = string.Empty;

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _hash.AppendData(buffer.Span);
        await next.WriteAsync(buffer, cancellationToken);
        Bytes += buffer.Length;
    }

    /// <inheritdoc/>
    public override Task CompleteAsync(CancellationToken cancel)
    {
        Sha256 = Convert.ToHexStringLower(_hash.GetHashAndReset());
        return next.CompleteAsync(cancel);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _hash.Dispose();
        return next.DisposeAsync();
    }
}
