using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Storage.FanOut;

/// <summary>
/// The stores that one set or one file of WAL goes to, written side by side. A store that fails or stalls is dropped, and the
/// others go on: what is made must not be lost for one of several places. How many copies are enough is the caller's to judge.
/// Of a single store everything is as if it were used alone, errors included.
/// </summary>
public sealed class StoreGroup
{
    /// <summary>How long a store may move nothing before it is dropped.</summary>
    public static TimeSpan UsualStall { get; } = TimeSpan.FromMinutes(5);

    private readonly TimeProvider _time;
    private readonly TimeSpan _stall;
    private readonly ILogger _log;

    /// <summary>Makes a group.</summary>
    /// <param name="stores">At least one; their names differ.</param>
    /// <param name="time">The clock by which a stall is told.</param>
    /// <param name="log">Hears of stores that are dropped.</param>
    /// <param name="stall">How long a store may move nothing, if not as usual.</param>
    public StoreGroup(IEnumerable<IObjectStore> stores, TimeProvider time, ILogger log, TimeSpan? stall = null)
    {
        Destinations = stores.Select(s => new Destination(s, time)).ToList();
        _time = time;
        _stall = stall ?? UsualStall;
        _log = log;
    }

    /// <summary>All of them, in their order.</summary>
    public IReadOnlyList<Destination> Destinations { get; }

    /// <summary>Those that are written to.</summary>
    public IReadOnlyList<Destination> Up => Destinations.Where(static d => d.IsUp).ToList();

    /// <summary>Begins an object in every store that is up. What is written to it is read once and sent to all.</summary>
    /// <exception cref="StorageException">No store is left.</exception>
    public async Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel)
    {
        if (Destinations is [var only])
        {
            return await only.Store.OpenWriteAsync(key, mode, attributes, cancel);
        }

        var lanes = new List<FanOutLane>();
        try
        {
            await EachAsync(
                async (destination, token) =>
                {
                    var writer = await destination.Store.OpenWriteAsync(key, mode, attributes, token);
                    if (!TryAdd(lanes, destination, writer))
                    {
                        await writer.DisposeAsync();
                    }
                },
                cancel);
        }
        catch
        {
            await new FanOutWriter(this, Snapshot(lanes)).DisposeAsync();
            throw;
        }

        return new FanOutWriter(this, Snapshot(lanes));
    }

    /// <summary>
    /// Does something in every store that is up, side by side. One whose step fails by its own fault (<see cref="ErrorKind.Storage"/>,
    /// or something damaged in it) or stalls is dropped; any other error is thrown, when all have ended.
    /// </summary>
    /// <exception cref="BackupException">No store is left; with a single store, its own error.</exception>
    public async Task EachAsync(Func<Destination, CancellationToken, Task> step, CancellationToken cancel)
    {
        if (Destinations is [var only])
        {
            await step(only, cancel);
            return;
        }

        await Task.WhenAll(Up.Select(d => OneAsync(d, token => step(d, token), cancel)).ToList());
        EnsureOneIsUp();
    }

    /// <summary>Refuses to go on without any store.</summary>
    /// <exception cref="StorageException">All were dropped.</exception>
    internal void EnsureOneIsUp()
    {
        if (Destinations.Any(static d => d.IsUp))
        {
            return;
        }

        throw new StorageException(
            $"no store is left to write to: {string.Join("; ", Destinations.Select(static d => d.Failure!.Message))}",
            Destinations.Select(static d => d.Failure!.Hint).OfType<string>().FirstOrDefault());
    }

    /// <summary>Runs one store's step and drops the store where that is its fault.</summary>
    /// <param name="destination">The store.</param>
    /// <param name="step">The step; its token also ends when the store stalls.</param>
    /// <param name="cancel">Cancels, which is no fault of the store.</param>
    /// <param name="writer">What the step writes with, which may say that bytes still move.</param>
    internal async Task OneAsync(
        Destination destination, Func<CancellationToken, Task> step, CancellationToken cancel, ObjectWriter? writer = null)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        destination.Touch();
        // On a thread of its own: a file system that hangs does so in the middle of a call.
        var running = Task.Run(() => step(stop.Token), CancellationToken.None);
        try
        {
            if (await EndsAsync(running, destination, writer))
            {
                await running;
                return;
            }
        }
        catch (BackupException e) when (e.Kind is ErrorKind.Storage or ErrorKind.Verification && !cancel.IsCancellationRequested)
        {
            Drop(destination, e, stalled: false);
            return;
        }

        // It may hang in a call that nothing ends: it is left behind, and what comes of it is nobody's concern any more.
        await stop.CancelAsync();
        _ = running.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        cancel.ThrowIfCancellationRequested();
        Drop(destination, StallOf(destination), stalled: true);
    }

    /// <summary>Drops a store, and says so.</summary>
    internal void Drop(Destination destination, BackupException why, bool stalled)
    {
        if (destination.TryDrop(why, stalled))
        {
            _log.Error("nothing more is written to store {Store:l}: {Why:l}", destination.Store.Name, why.Message);
        }
    }

    /// <summary>Waits for something of a store to end.</summary>
    /// <returns>False when the store stalled before.</returns>
    internal async Task<bool> EndsAsync(Task running, Destination destination, ObjectWriter? writer)
    {
        while (!running.IsCompleted)
        {
            var left = _stall - destination.StillFor(writer);
            if (left <= TimeSpan.Zero)
            {
                return false;
            }

            using var ended = new CancellationTokenSource();
            await Task.WhenAny(running, Task.Delay(left, _time, ended.Token));
            await ended.CancelAsync();
        }

        return true;
    }

    /// <summary>The error of a store that stalled.</summary>
    internal StorageException StallOf(Destination destination) => new(
        $"store {destination.Store.Name} moved nothing for {_stall.TotalSeconds:0} s, so that it is left behind",
        "see what it waits for: the network, or a file system that hangs (findmnt, dmesg)");

    // A store that stalled while it was opened may answer later: nobody waits for it then.
    private bool TryAdd(List<FanOutLane> lanes, Destination destination, ObjectWriter writer)
    {
        lock (lanes)
        {
            if (destination.IsUp)
            {
                lanes.Add(new FanOutLane(this, destination, writer));
            }

            return destination.IsUp;
        }
    }

    private static FanOutLane[] Snapshot(List<FanOutLane> lanes)
    {
        lock (lanes)
        {
            return [.. lanes];
        }
    }
}
