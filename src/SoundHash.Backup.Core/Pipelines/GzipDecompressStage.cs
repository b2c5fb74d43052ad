using System.IO.Compression;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Pipelines;

/// <summary>Decompresses gzip and turns its errors into ours.</summary>
internal sealed class GzipDecompressStage(Stream source, string subject) : ReadStage
{
    private readonly GZipStream _gzip = Open(source);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _gzip.ReadAsync(buffer, cancellationToken);
        }
        catch (InvalidDataException e)
        {
            throw new BackupException(ErrorKind.Verification, $"{subject} can't be decompressed: {e.Message}", "it is damaged: use another copy or set (shbackup backup verify --all)", e);
        }
    }

    public override ValueTask DisposeAsync() => _gzip.DisposeAsync();

    private static GZipStream Open(Stream source)
    {
        // Without it .NET takes the end of a cut file for the end of the data. It is read once, before the first use.
        AppContext.SetSwitch("System.IO.Compression.UseStrictValidation", true);
        return new GZipStream(source, CompressionMode.Decompress);
    }
}
