using System.Collections.Concurrent;
using Amazon.S3.Model;

namespace SoundHash.Backup.Storage.S3;

/// <summary>
/// Parts of one object that are sent side by side, from a bounded number of buffers: the one that is being filled counts as well.
/// </summary>
/// <param name="most">How many buffers there are.</param>
/// <param name="send">Sends a part; tries again itself.</param>
internal sealed class PartQueue(int most, Func<int, PartBody, CancellationToken, Task<PartETag>> send) : IAsyncDisposable
{
    private readonly SemaphoreSlim _free = new(most);
    private readonly ConcurrentBag<byte[]> _buffers = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task<PartETag>> _parts = [];
    private volatile Exception? _failure;

    /// <summary>How many parts have been given to be sent.</summary>
    public int Count => _parts.Count;

    /// <summary>Waits for a free buffer of at least so many bytes; fails as soon as a part has.</summary>
    public async Task<byte[]> RentAsync(int size, CancellationToken cancel)
    {
        await _free.WaitAsync(cancel);
        if (_failure is { } failure)
        {
            _free.Release();
            throw Again(failure);
        }

        // One that is too small by now is left to the collector.
        return _buffers.TryTake(out var buffer) && buffer.Length >= size ? buffer : GC.AllocateUninitializedArray<byte>(size);
    }

    /// <summary>Sends a buffer that was rented here as the next part.</summary>
    public void Send(byte[] buffer, int length) => _parts.Add(SendAsync(_parts.Count + 1, buffer, length));

    /// <summary>Ends when all parts have arrived, or the first one has failed.</summary>
    public async Task<List<PartETag>> AllAsync(CancellationToken cancel)
    {
        // The others of a part that failed are stopped, and so end soon.
        var all = Task.WhenAll(_parts);
        await ((Task)all).WaitAsync(cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancel.ThrowIfCancellationRequested();
        return _failure is { } failure ? throw Again(failure) : [.. await all];
    }

    /// <summary>Stops what is under way, and waits until it has.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await ((Task)Task.WhenAll(_parts)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        _free.Dispose();
    }

    private async Task<PartETag> SendAsync(int number, byte[] buffer, int length)
    {
        try
        {
            // The caller goes on filling the next one.
            await Task.Yield();
            return await send(number, new PartBody(buffer, length), _stop.Token);
        }
        catch (Exception e)
        {
            _failure ??= e;
            await _stop.CancelAsync();
            throw;
        }
        finally
        {
            _buffers.Add(buffer);
            _free.Release();
        }
    }

    private static StorageException Again(Exception failure) => failure as StorageException
        ?? new StorageException(failure.Message, inner: failure);
}
