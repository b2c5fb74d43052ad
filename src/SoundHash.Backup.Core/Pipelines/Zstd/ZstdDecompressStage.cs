using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Pipelines.Zstd;

/// <summary>Decompresses zstd frames. A stream that ends inside a frame, or is no zstd at all, is an error.</summary>
/// <param name="source">The compressed stream; disposed with this stage.</param>
/// <param name="subject">What is read, for messages.</param>
public sealed class ZstdDecompressStage(Stream source, string subject) : ReadStage
{
    private readonly ZstdDecompressor _context = new();
    private readonly byte[] _input = GC.AllocateUninitializedArray<byte>(256 * 1024, pinned: true);
    private int _start;
    private int _end;
    private bool _sourceBegan;
    private bool _sourceEnded;

    // What libzstd said last: 0 at the end of a frame, else a hint that more is to come.
    private nuint _pending;

    /// <inheritdoc/>
    /// <exception cref="BackupException">The stream is damaged or cut.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.Length == 0)
        {
            return 0;
        }

        while (true)
        {
            // First without new input: libzstd may hold output that did not fit before.
            var made = Step(buffer.Span);
            if (made > 0)
            {
                return made;
            }

            if (_sourceEnded)
            {
                return _pending == 0 && _sourceBegan ? 0 : throw Damaged(_sourceBegan ? "it ends in the middle of a frame" : "it is empty");
            }

            _start = 0;
            _end = await source.ReadAsync(_input, cancellationToken);
            _sourceEnded = _end == 0;
            _sourceBegan |= _end > 0;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        _context.Dispose();
        await source.DisposeAsync();
    }

    private unsafe int Step(Span<byte> target)
    {
        if (_start == _end && _pending == 0)
        {
            return 0;
        }

        fixed (byte* from = _input, to = target)
        {
            var input = new LibZstd.InBuffer { Source = from + _start, Size = (nuint)(_end - _start) };
            var output = new LibZstd.OutBuffer { Destination = to, Size = (nuint)target.Length };
            do
            {
                var code = LibZstd.Decompress(_context.DangerousGetHandle(), ref output, ref input);
                _pending = LibZstd.IsError(code) == 0 ? code : throw Damaged(LibZstd.ErrorName(code));
            }
            while (output.Position < output.Size && input.Position < input.Size);

            _start += (int)input.Position;
            return (int)output.Position;
        }
    }

    private BackupException Damaged(string how) => new(
        ErrorKind.Verification,
        $"{subject} can't be decompressed: {how}",
        "it is damaged: use another copy or set (shbackup backup verify --all)");
}
