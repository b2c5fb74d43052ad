using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>Throws in place of the end of an object when what came is not what its store has.</summary>
/// <param name="source">The whole object; disposed with this.</param>
/// <param name="expected">Its checksum, as the store writes it.</param>
/// <param name="differs">The error, given the checksum of what came.</param>
internal sealed class ChecksumReadStage(Stream source, string expected, Func<string, StorageException> differs) : ReadStage
{
    private uint _sum = Crc32C.Start;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await source.ReadAsync(buffer, cancellationToken);
        _sum = Crc32C.Add(_sum, buffer.Span[..read]);
        if (read > 0 || buffer.IsEmpty)
        {
            return read;
        }

        var actual = GcsChecksum.Text(Crc32C.Finish(_sum));
        return actual == expected ? 0 : throw differs(actual);
    }

    public override ValueTask DisposeAsync() => source.DisposeAsync();
}
