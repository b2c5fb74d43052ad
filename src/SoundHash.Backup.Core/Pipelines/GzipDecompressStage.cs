using System.IO.Compression;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Pipelines;

/// <summary>Decompresses gzip and turns its errors into ours.</summary>
internal sealed class GzipDecompressStage(Stream source, string subject) : ReadStage
{
    private readonly GZipStream _gzip = new(source, CompressionMode.Decompress);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _gzip.ReadAsync(buffer, cancellationToken);
        }
        catch (InvalidDataException e)
        {
            throw new BackupException(ErrorKind.Verification, $"{subject} can't be decompressed: {e.Message}", inner: e);
        }
    }

    public override ValueTask DisposeAsync() => _gzip.DisposeAsync();
}
