namespace SoundHash.Backup.Pipelines;

/// <summary>
/// Counts the plain bytes of one run over all its streams, for progress, and holds them to a rate when there is one.
/// Safe to use from several streams at once.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="bytesPerSecond">The most that all streams together may move, or null.</param>
public sealed class TransferMeter(TimeProvider time, long? bytesPerSecond = null)
{
    // What was not used while the source was slow may be made up for, but no more than this.
    private static readonly TimeSpan Burst = TimeSpan.FromSeconds(1);

    private readonly long _started = time.GetTimestamp();
    private readonly Lock _lock = new();
    private TimeSpan _paidUntil;
    private long _bytes;

    /// <summary>Plain bytes moved so far.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Time since the meter was made.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_started);

    /// <summary>Adds bytes, and waits as long as the rate asks for.</summary>
    public async ValueTask AddAsync(int bytes, CancellationToken cancel)
    {
        Interlocked.Add(ref _bytes, bytes);
        if (bytesPerSecond is { } rate && Wait(TimeSpan.FromSeconds((double)bytes / rate)) is { Ticks: > 0 } ahead)
        {
            await Task.Delay(ahead, time, cancel);
        }
    }

    private TimeSpan Wait(TimeSpan cost)
    {
        lock (_lock)
        {
            var now = Elapsed;
            _paidUntil = (_paidUntil > now - Burst ? _paidUntil : now - Burst) + cost;
            return _paidUntil - now;
        }
    }
}
