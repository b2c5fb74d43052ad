using System.IO.Compression;

namespace SoundHash.Backup.Pipelines;

/// <summary>Compresses with gzip: the fallback where libzstd is missing.</summary>
internal sealed class GzipCompressStage : WriteStage
{
    private readonly WriteStage _next;
    private readonly GZipStream _gzip;
    private bool _completed;

    public GzipCompressStage(WriteStage next, int level)
    {
        _next = next;
        _gzip = new GZipStream(next, new ZLibCompressionOptions { CompressionLevel = level }, leaveOpen: true);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _gzip.WriteAsync(buffer, cancellationToken);

    public override async Task CompleteAsync(CancellationToken cancel)
    {
        await _gzip.DisposeAsync();
        _completed = true;
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
