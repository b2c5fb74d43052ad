using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>A child's stdout as a stream, read from the child in large pieces. Its end says nothing of the child's success.</summary>
internal sealed class ChildOutputStage(ChildProcess child) : ReadStage
{
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
    private Memory<byte> _left;
    private long _bytes;

    /// <summary>Bytes read so far; safe to ask from elsewhere.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_left.IsEmpty)
        {
            var read = await child.ReadOutputAsync(_buffer, cancellationToken);
            Interlocked.Add(ref _bytes, read);
            _left = _buffer.AsMemory(0, read);
        }

        var count = Math.Min(buffer.Length, _left.Length);
        _left[..count].CopyTo(buffer);
        _left = _left[count..];
        return count;
    }

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
