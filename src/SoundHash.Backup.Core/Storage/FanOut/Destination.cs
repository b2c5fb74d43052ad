using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Storage.FanOut;

/// <summary>One of the stores that a run writes to, and what became of it.</summary>
public sealed class Destination
{
    private readonly TimeProvider _time;
    private long _moved;
    private volatile Drop? _drop;

    internal Destination(IObjectStore store, TimeProvider time)
    {
        _time = time;
        _moved = time.GetTimestamp();
        Store = new StoreWatch(store, Touch);
    }

    /// <summary>The store; each call of it that ends counts as a sign of life.</summary>
    public IObjectStore Store { get; }

    /// <summary>True until it failed or stalled: then nothing more is written to it.</summary>
    public bool IsUp => _drop is null;

    /// <summary>Why it was dropped, or null.</summary>
    public BackupException? Failure => _drop?.Why;

    /// <summary>True when it was dropped since nothing moved any more, and not for an error.</summary>
    public bool Stalled => _drop?.Stalled ?? false;

    /// <summary>Says that something moved.</summary>
    internal void Touch() => Interlocked.Exchange(ref _moved, _time.GetTimestamp());

    /// <summary>How long nothing has moved.</summary>
    /// <param name="writer">A writer that may say more of that, or null.</param>
    internal TimeSpan StillFor(ObjectWriter? writer) =>
        _time.GetElapsedTime(Math.Max(Interlocked.Read(ref _moved), writer?.Moved ?? long.MinValue));

    /// <summary>Drops it; the first reason counts.</summary>
    /// <returns>True when it was up until now.</returns>
    internal bool TryDrop(BackupException why, bool stalled) =>
        Interlocked.CompareExchange(ref _drop, new Drop(why, stalled), null) is null;

    private sealed record Drop(BackupException Why, bool Stalled);
}
