namespace SoundHash.Backup.Pipelines;

/// <summary>A stream whose first bytes have been looked at and are read again.</summary>
public sealed class PeekStage : ReadStage
{
    /// <summary>Judges the first bytes of a stream; there may be fewer than asked for.</summary>
    public delegate T Judge<out T>(ReadOnlySpan<byte> first);

    private readonly Stream _source;
    private ReadOnlyMemory<byte> _first;

    private PeekStage(Stream source, ReadOnlyMemory<byte> first)
    {
        _source = source;
        _first = first;
    }

    /// <summary>Looks at the first bytes; the result reads the stream from its beginning and owns it.</summary>
    public static async Task<(T Found, Stream Stream)> ReadAsync<T>(Stream source, int bytes, Judge<T> judge, CancellationToken cancel)
    {
        var first = new byte[bytes];
        var read = await source.ReadAtLeastAsync(first, bytes, throwOnEndOfStream: false, cancel);
        return (judge(first.AsSpan(0, read)), new PeekStage(source, first.AsMemory(0, read)));
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_first.IsEmpty)
        {
            return _source.ReadAsync(buffer, cancellationToken);
        }

        var take = Math.Min(buffer.Length, _first.Length);
        _first[..take].CopyTo(buffer);
        _first = _first[take..];
        return ValueTask.FromResult(take);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => _source.DisposeAsync();
}
