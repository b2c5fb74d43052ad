using System.IO.Compression;

namespace SoundHash.Backup.Pipelines;

/// <summary>Compresses with gzip: the fallback where libzstd is missing.</summary>
internal sealed class GzipCompressStage : WriteStage
{
    // What gzip itself makes of nothing; .NET would write no byte at all.
    private static readonly byte[] Empty = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    private readonly WriteStage _next;
    private readonly GZipStream _gzip;
    private bool _isEmpty = true;
    private bool _completed;

    public GzipCompressStage(WriteStage next, int level)
    {
        _next = next;
        _gzip = StrictGzip.Writer(next, level);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _isEmpty &= buffer.IsEmpty;
        return _gzip.WriteAsync(buffer, cancellationToken);
    }

    public override async Task CompleteAsync(CancellationToken cancel)
    {
        await _gzip.DisposeAsync();
        _completed = true;
        if (_isEmpty)
        {
            await _next.WriteAsync(Empty, cancel);
        }

        await _next.CompleteAsync(cancel);
    }

    public override async ValueTask DisposeAsync()
    {
        await _next.DisposeAsync();
        if (!_completed)
        {
            // Disposing writes a trailer: into a stage that is gone, which is what an abort wants.
            try
            {
                await _gzip.DisposeAsync();
            }
            catch (ObjectDisposedException)
            {
                _completed = true;
            }
        }
    }
}
