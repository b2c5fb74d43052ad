namespace SoundHash.Backup.Pipelines;

/// <summary>
/// Counts the plain bytes of one run over all its streams, for progress, and holds them to a rate when there is one.
/// Safe to use from several streams at once.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="bytesPerSecond">The most that all streams together may move, or null.</param>
public sealed class TransferMeter(TimeProvider time, long? bytesPerSecond = null)
{
    private readonly long _started = time.GetTimestamp();
    private long _bytes;

    /// <summary>Plain bytes moved so far.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Time since the meter was made.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_started);

    /// <summary>Adds bytes, and waits as long as the rate asks for.</summary>
    public async ValueTask AddAsync(int bytes, CancellationToken cancel)
    {
        var total = Interlocked.Add(ref _bytes, bytes);
        if (bytesPerSecond is not { } rate)
        {
            return;
        }

        var ahead = TimeSpan.FromSeconds((double)total / rate) - Elapsed;
        if (ahead > TimeSpan.Zero)
        {
            await Task.Delay(ahead, time, cancel);
        }
    }
}
