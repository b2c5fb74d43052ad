using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>
/// An object that is being written: one request when it fits into a chunk, and otherwise a resumable session that gets one chunk
/// while the next one is filled. Memory is bounded by two chunks.
/// </summary>
internal sealed class GcsObjectWriter : ObjectWriter
{
    private const int SmallBuffer = 64 * 1024;
    private static readonly TimeSpan CancelLimit = TimeSpan.FromSeconds(10);

    private readonly GcsCalls _calls;
    private readonly GcsOptions _options;
    private readonly GcsTask _task;
    private readonly ObjectUpload _upload;
    private readonly CancellationTokenSource _stop = new();
    private Task _sending = Task.CompletedTask;
    private byte[] _buffer = [];
    private byte[]? _spare;
    private int _filled;
    private uint _sum = Crc32C.Start;
    private bool _published;
    private bool _disposed;
    private long _moved;

    public GcsObjectWriter(GcsCalls calls, GcsObjects objects, string key, WriteMode mode, ObjectAttributes attributes)
    {
        _calls = calls;
        _options = calls.Options;
        _task = new GcsTask("write", key);
        _upload = new ObjectUpload(calls, objects, _task, new WriteRequests(calls, key, mode, attributes), HasMoved);
        HasMoved();
    }

    /// <inheritdoc/>
    public override long? Moved => Volatile.Read(ref _moved);

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            // A full chunk waits for one more byte: it may be the last one, and then it needs no session.
            if (_filled == _options.ChunkSize)
            {
                await PassOnAsync(cancellationToken);
            }

            var taken = Math.Min(buffer.Length, _options.ChunkSize - _filled);
            Grow(_filled + taken);
            buffer.Span[..taken].CopyTo(_buffer.AsSpan(_filled));
            _sum = Crc32C.Add(_sum, buffer.Span[..taken]);
            _filled += taken;
            buffer = buffer[taken..];
        }
    }

    /// <inheritdoc/>
    public override async Task CompleteAsync(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        await _sending.WaitAsync(cancel);
        var made = await _upload.FinishAsync(_buffer.AsMemory(0, _filled), GcsChecksum.Text(Crc32C.Finish(_sum)), cancel);
        _published = true;
        Check(made);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _stop.CancelAsync();
        await _sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        (_buffer, _spare) = ([], null);
        if (!_published)
        {
            using var limit = new CancellationTokenSource(CancelLimit, _options.Time);
            await _upload.CancelAsync(limit.Token);
        }
    }

    private async Task PassOnAsync(CancellationToken cancel)
    {
        await _sending.WaitAsync(cancel);
        var full = _buffer;
        _sending = SendAsync(full, _filled);
        // From the second chunk on, the one that was sent before is free again.
        (_buffer, _spare) = (_spare ?? new byte[_options.ChunkSize], full);
        _filled = 0;
    }

    private async Task SendAsync(byte[] chunk, int length)
    {
        // The caller goes on filling the other buffer.
        await Task.Yield();
        await _upload.AddAsync(chunk.AsMemory(0, length), _stop.Token);
    }

    // Small objects get small buffers: most objects are.
    private void Grow(int needed)
    {
        if (_buffer.Length < needed)
        {
            Array.Resize(ref _buffer, Math.Min(_options.ChunkSize, Math.Max(needed, Math.Max(SmallBuffer, _buffer.Length * 2))));
        }
    }

    // The store has refused other bytes by itself, if it takes checksums at all.
    private void Check(GcsObject made)
    {
        var (size, sum) = (_upload.Sent, GcsChecksum.Text(Crc32C.Finish(_sum)));
        if (made.Size != size || (made.Crc32c is { } stored && stored != sum))
        {
            throw _calls.Errors.Failed(
                _task,
                $"the store keeps other bytes than were sent: {made.Size} bytes with crc32c {made.Crc32c} as generation {made.Generation}, where {size} bytes with {sum} were sent",
                "delete that object, and run this again");
        }
    }

    private void HasMoved() => Volatile.Write(ref _moved, _options.Time.GetTimestamp());
}
