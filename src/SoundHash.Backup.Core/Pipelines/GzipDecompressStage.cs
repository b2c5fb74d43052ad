using System.IO.Compression;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Pipelines;

/// <summary>Decompresses gzip and turns its errors into ours. A stream that is cut, or empty, is an error.</summary>
internal sealed class GzipDecompressStage(Stream source, string subject) : ReadStage
{
    private GZipStream? _gzip;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            _gzip ??= await OpenAsync(cancellationToken);
            return await _gzip.ReadAsync(buffer, cancellationToken);
        }
        catch (InvalidDataException e)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{subject} can't be decompressed: {e.Message}",
                "it is damaged: use another copy or set (shbackup backup verify --all)",
                e);
        }
    }

    public override ValueTask DisposeAsync() => _gzip?.DisposeAsync() ?? source.DisposeAsync();

    // .NET takes nothing at all for a whole stream of nothing.
    private async Task<GZipStream> OpenAsync(CancellationToken cancel)
    {
        var (isEmpty, whole) = await PeekStage.ReadAsync(source, 1, static b => b.IsEmpty, cancel);
        return isEmpty ? throw new InvalidDataException("it is empty") : StrictGzip.Reader(whole);
    }
}
