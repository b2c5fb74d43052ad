namespace SoundHash.Backup.Storage.FanOut;

/// <summary>
/// An object that is written to several stores at once. Memory is bounded: a few pieces for each store, and the slowest store
/// that is up decides the pace. Small writes are gathered: every piece wakes each store's task once.
/// </summary>
internal sealed class FanOutWriter(StoreGroup group, IReadOnlyList<FanOutLane> lanes) : ObjectWriter
{
    private FanOutPiece? _filling;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            _filling ??= new FanOutPiece(lanes.Count);
            buffer = buffer[_filling.Add(buffer.Span)..];
            if (_filling.IsFull)
            {
                await PassOnAsync(cancellationToken);
            }
        }

        group.EnsureOneIsUp();
    }

    /// <summary>Publishes the object in every store that is up; returns when one at least has it.</summary>
    public override async Task CompleteAsync(CancellationToken cancel)
    {
        await PassOnAsync(cancel);
        await Task.WhenAll(lanes.Select(l => l.CompleteAsync(cancel)));
        group.EnsureOneIsUp();
    }

    public override async ValueTask DisposeAsync() => await Task.WhenAll(lanes.Select(static l => l.DisposeAsync().AsTask()));

    private async Task PassOnAsync(CancellationToken cancel)
    {
        if (_filling is not { } piece)
        {
            return;
        }

        _filling = null;
        foreach (var lane in lanes)
        {
            await lane.AddAsync(piece, cancel);
        }
    }
}
