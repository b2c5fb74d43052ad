using System.Buffers;
using System.Threading.Channels;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Storage.FanOut;

/// <summary>Bytes that several stores are sent, given back to the pool when the last one has them.</summary>
internal sealed class FanOutPiece
{
    private const int MaxBytes = 1024 * 1024;

    private readonly byte[] _bytes = ArrayPool<byte>.Shared.Rent(MaxBytes);
    private int _length;
    private int _readers;

    /// <summary>Makes an empty one.</summary>
    /// <param name="readers">How many will release it.</param>
    public FanOutPiece(int readers) => _readers = readers;

    public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, _length);

    public bool IsFull => _length == MaxBytes;

    /// <summary>Takes as many of these bytes as there is room for.</summary>
    /// <returns>How many.</returns>
    public int Add(ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, MaxBytes - _length);
        bytes[..taken].CopyTo(_bytes.AsSpan(_length));
        _length += taken;
        return taken;
    }

    /// <summary>Called once by every reader. One that hangs in the middle of a write never does, and keeps the bytes from being reused.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _readers) == 0)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
        }
    }
}

/// <summary>The way of one object to one store: a few pieces wait here, so that stores need not keep step with each other.</summary>
internal sealed class FanOutLane : IAsyncDisposable
{
    private const int MostPieces = 4;
    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(30);

    private readonly StoreGroup _group;
    private readonly Destination _destination;
    private readonly ObjectWriter _writer;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<FanOutPiece> _pieces =
        Channel.CreateBounded<FanOutPiece>(new BoundedChannelOptions(MostPieces) { SingleReader = true, SingleWriter = true });

    private readonly Task _working;

    public FanOutLane(StoreGroup group, Destination destination, ObjectWriter writer)
    {
        _group = group;
        _destination = destination;
        _writer = writer;
        destination.Touch();
        _working = Task.Run(WorkAsync);
    }

    /// <summary>
    /// Takes a piece; waits while the store is slow, and drops it when it stalls. Of a dropped store nobody reads what waits: the
    /// pool does without.
    /// </summary>
    public async ValueTask AddAsync(FanOutPiece piece, CancellationToken cancel)
    {
        while (_destination.IsUp)
        {
            if (_pieces.Writer.TryWrite(piece))
            {
                // It had nothing to move until now, maybe for long.
                _destination.Touch();
                return;
            }

            var room = _pieces.Writer.WaitToWriteAsync(cancel).AsTask();
            if (!await _group.EndsAsync(room, _destination, _writer))
            {
                _group.Drop(_destination, _group.StallOf(_destination), stalled: true);
            }
            else if (!await room)
            {
                return;
            }
        }
    }

    /// <summary>Publishes the object in this store, or drops the store.</summary>
    public async Task CompleteAsync(CancellationToken cancel)
    {
        _pieces.Writer.TryComplete();
        if (_destination.IsUp)
        {
            await _group.OneAsync(
                _destination,
                async token =>
                {
                    using var ends = token.Register(static s => ((CancellationTokenSource)s!).Cancel(), _stop);
                    await _working;
                    token.ThrowIfCancellationRequested();
                    if (_destination.IsUp)
                    {
                        await _writer.CompleteAsync(token);
                    }
                },
                cancel,
                _writer);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _pieces.Writer.TryComplete();
        var ending = Task.Run(async () =>
        {
            await _working;
            await _writer.DisposeAsync();
        });
        // A store that hangs keeps its writer; the next run removes what that left.
        await Task.WhenAny(ending, _destination.Stalled ? Task.CompletedTask : Task.Delay(TimeToEnd));
        if (ending.IsCompleted)
        {
            _stop.Dispose();
        }
    }

    private async Task WorkAsync()
    {
        try
        {
            await foreach (var piece in _pieces.Reader.ReadAllAsync(_stop.Token))
            {
                if (_destination.IsUp)
                {
                    await _writer.WriteAsync(piece.Bytes, _stop.Token);
                    _destination.Touch();
                }

                piece.Release();
            }
        }
        catch (BackupException e)
        {
            _group.Drop(_destination, e, stalled: false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Whoever stopped it knows.
        }
        finally
        {
            _pieces.Writer.TryComplete();
        }
    }
}
