namespace SoundHash.Backup.Pipelines;

/// <summary>
/// Counts the plain bytes of one run over all its streams, for progress, and holds them to a rate when there is one.
/// Time in which nothing moved is no credit, save for a second or the last chunk. Safe to use from several streams at once.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="bytesPerSecond">The most that all streams together may move, or null.</param>
public sealed class TransferMeter(TimeProvider time, long? bytesPerSecond = null)
{
    private readonly long _started = time.GetTimestamp();
    private readonly Lock _lock = new();
    private long _bytes;
    private TimeSpan _due;

    /// <summary>Plain bytes moved so far.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>True when bytes are held to a rate, so that all of them have to come by here.</summary>
    public bool IsLimited => bytesPerSecond is not null;

    /// <summary>Time since the meter was made.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_started);

    /// <summary>Adds bytes, and waits as long as the rate asks for.</summary>
    public async ValueTask AddAsync(int bytes, CancellationToken cancel)
    {
        Interlocked.Add(ref _bytes, bytes);
        if (bytesPerSecond is not { } rate)
        {
            return;
        }

        var ahead = Book(TimeSpan.FromSeconds((double)bytes / rate));
        if (ahead > TimeSpan.Zero)
        {
            await Task.Delay(ahead, time, cancel);
        }
    }

    // When the bytes may be through, less the time of now.
    private TimeSpan Book(TimeSpan duration)
    {
        lock (_lock)
        {
            var now = Elapsed;
            var credit = duration > TimeSpan.FromSeconds(1) ? duration : TimeSpan.FromSeconds(1);
            _due = (_due > now - credit ? _due : now - credit) + duration;
            return _due - now;
        }
    }
}
