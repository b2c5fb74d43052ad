namespace SoundHash.Backup.Storage.FanOut;

/// <summary>
/// An object that is written to several stores at once. Memory is bounded: a few pieces for each store, and the slowest store
/// that is up decides the pace.
/// </summary>
internal sealed class FanOutWriter(StoreGroup group, IReadOnlyList<FanOutLane> lanes) : ObjectWriter
{
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (var rest = buffer; !rest.IsEmpty;)
        {
            var piece = FanOutPiece.CopyOf(rest[..Math.Min(rest.Length, FanOutPiece.MaxBytes)], lanes.Count);
            rest = rest[piece.Bytes.Length..];
            foreach (var lane in lanes)
            {
                await lane.AddAsync(piece, cancellationToken);
            }
        }

        group.EnsureOneIsUp();
    }

    /// <summary>Publishes the object in every store that is up; returns when one at least has it.</summary>
    public override async Task CompleteAsync(CancellationToken cancel)
    {
        await Task.WhenAll(lanes.Select(l => l.CompleteAsync(cancel)));
        group.EnsureOneIsUp();
    }

    public override async ValueTask DisposeAsync() => await Task.WhenAll(lanes.Select(static l => l.DisposeAsync().AsTask()));
}
