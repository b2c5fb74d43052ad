namespace SoundHash.Backup.Pipelines;

/// <summary>The last bytes of a stream, in memory that does not grow with it.</summary>
/// <param name="limit">How many are kept.</param>
public sealed class ByteTail(int limit)
{
    private readonly byte[] _kept = new byte[limit];
    private int _count;

    /// <summary>What is kept, the oldest byte first; valid until the next <see cref="Add"/>.</summary>
    public ReadOnlySpan<byte> Bytes => _kept.AsSpan(0, _count);

    /// <summary>Takes the next bytes of the stream.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        var taken = bytes[Math.Max(0, bytes.Length - limit)..];
        var stays = Math.Min(_count, limit - taken.Length);
        _kept.AsSpan(_count - stays, stays).CopyTo(_kept);
        taken.CopyTo(_kept.AsSpan(stays));
        _count = stays + taken.Length;
    }
}
