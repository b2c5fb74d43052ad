namespace SoundHash.Backup.Pipelines;

/// <summary>Passes bytes on unchanged and takes their SHA-256 and count.</summary>
/// <param name="next">The next stage.</param>
/// <param name="withXxHash">True to take their XXH128 as well.</param>
public sealed class HashingWriteStage(WriteStage next, bool withXxHash = false) : WriteStage
{
    private readonly RunningSum _sha256 = new(SumKind.Sha256);
    private readonly RunningSum? _xxHash = withXxHash ? new RunningSum(SumKind.XxHash128) : null;

    /// <summary>Bytes passed on so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>SHA-256 of all bytes in lower-case hex; known once completed.</summary>
    public string Sha256 { get; private set; } = string.Empty;

    /// <summary>XXH128 of all bytes in lower-case hex; known once completed, null where it was not wanted.</summary>
    public string? XxHash128 { get; private set; }

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _sha256.Add(buffer.Span);
        _xxHash?.Add(buffer.Span);
        await next.WriteAsync(buffer, cancellationToken);
        Bytes += buffer.Length;
    }

    /// <inheritdoc/>
    public override Task CompleteAsync(CancellationToken cancel)
    {
        (Sha256, XxHash128) = (_sha256.Hex(), _xxHash?.Hex());
        return next.CompleteAsync(cancel);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _sha256.Dispose();
        _xxHash?.Dispose();
        return next.DisposeAsync();
    }
}
