namespace SoundHash.Backup.Storage;

/// <summary>Ends one request when no byte of it has moved for too long. A request that keeps moving may take as long as it likes.</summary>
public sealed class StallGuard : IDisposable
{
    private readonly TimeSpan _patience;
    private readonly CancellationTokenSource _stall;
    private readonly CancellationTokenSource _either;

    /// <summary>Begins to watch.</summary>
    /// <param name="patience">How long no byte may move.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancel">Ends the request too.</param>
    public StallGuard(TimeSpan patience, TimeProvider time, CancellationToken cancel)
    {
        _patience = patience;
        _stall = new CancellationTokenSource(patience, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_stall.Token, cancel);
    }

    /// <summary>What the request is to be cancelled by.</summary>
    public CancellationToken Token => _either.Token;

    /// <summary>True when it was this that ended the request.</summary>
    public bool HasStalled => _stall.IsCancellationRequested;

    /// <summary>Bytes have moved.</summary>
    public void Moved() => _stall.CancelAfter(_patience);

    /// <inheritdoc/>
    public void Dispose()
    {
        _either.Dispose();
        _stall.Dispose();
    }
}
