namespace SoundHash.Backup.Pipelines;

/// <summary>Passes bytes on unchanged and takes their hash and count.</summary>
/// <param name="next">The next stage.</param>
/// <param name="kind">Which hash.</param>
public sealed class HashingWriteStage(WriteStage next, SumKind kind) : WriteStage
{
    private readonly RunningSum _sum = new(kind);

    /// <summary>Bytes passed on so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>The hash of all bytes in lower-case hex; empty until completed.</summary>
    public string Hex { get; private set; } = string.Empty;

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _sum.Add(buffer.Span);
        await next.WriteAsync(buffer, cancellationToken);
        Bytes += buffer.Length;
    }

    /// <inheritdoc/>
    public override Task CompleteAsync(CancellationToken cancel)
    {
        Hex = _sum.Hex();
        return next.CompleteAsync(cancel);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _sum.Dispose();
        return next.DisposeAsync();
    }
}
