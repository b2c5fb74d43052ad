using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Storage.Local;

/// <summary>Reads a file; a disk that fails in the middle is an error that names what was read.</summary>
/// <param name="file">The file, at the position where reading begins; disposed with this stage.</param>
/// <param name="failed">Makes the error.</param>
internal sealed class FileReadStage(FileStream file, Func<Exception, BackupException> failed) : ReadStage
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await file.ReadAsync(buffer, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw failed(e);
        }
    }

    public override ValueTask DisposeAsync() => file.DisposeAsync();
}
