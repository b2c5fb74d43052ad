using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Pipelines.Zstd;

/// <summary>Compresses into one zstd frame with a content checksum, on several threads of libzstd's own.</summary>
public sealed class ZstdCompressStage : WriteStage
{
    // What is used when no level is asked for, chosen for what pg_dump writes (measured, docs/performance.md). bytea comes
    // as hex, in which level 3 finds many matches of 5 bytes that cost more than they save. The fast strategy of level 1
    // with a match of at least 7 bytes, in a window and table as large as level 3's or larger, takes a third less time
    // than level 3; hex gets 4 % smaller than with level 3, text between 2.6 % smaller and 3.5 % larger.
    private const int DumpLevel = 1;
    private const int DumpWindowLog = 22;
    private const int DumpHashLog = 18;
    private const int DumpMinMatch = 7;
    private const int JobBytes = 4 * 1024 * 1024;
    private const int OutputBytes = 256 * 1024;

    private readonly WriteStage _next;
    private readonly ZstdCompressor _context = new();
    private readonly byte[] _output = GC.AllocateUninitializedArray<byte>(OutputBytes, pinned: true);
    private int _filled;

    /// <summary>Starts a frame.</summary>
    /// <param name="next">Takes the compressed bytes; disposed with this stage.</param>
    /// <param name="level">1 to 19, or null for settings made for dumps.</param>
    /// <param name="workers">Compression threads besides the caller's; 0 compresses on the caller's.</param>
    public ZstdCompressStage(WriteStage next, int? level, int workers)
    {
        _next = next;
        Set(LibZstd.Parameter.CompressionLevel, level ?? DumpLevel);
        Set(LibZstd.Parameter.ChecksumFlag, 1);
        if (level is null)
        {
            Set(LibZstd.Parameter.WindowLog, DumpWindowLog);
            Set(LibZstd.Parameter.HashLog, DumpHashLog);
            Set(LibZstd.Parameter.MinMatch, DumpMinMatch);
        }

        if (workers > 0)
        {
            // A libzstd built without threads refuses any worker; it then compresses on our own thread.
            _ = LibZstd.SetParameter(_context.DangerousGetHandle(), LibZstd.Parameter.Workers, workers);
            // Its own choice is four windows for each thread of each stream; this keeps the memory of a run small.
            _ = LibZstd.SetParameter(_context.DangerousGetHandle(), LibZstd.Parameter.JobSize, JobBytes);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (buffer.Length > 0)
        {
            var (taken, _) = Step(buffer.Span, LibZstd.EndDirective.Continue);
            buffer = buffer[taken..];
            await PassOnAsync(atLeast: OutputBytes / 2, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public override async Task CompleteAsync(CancellationToken cancel)
    {
        nuint left;
        do
        {
            (_, left) = Step([], LibZstd.EndDirective.End);
            await PassOnAsync(atLeast: 1, cancel);
        }
        while (left > 0);

        await _next.CompleteAsync(cancel);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _context.Dispose();
        return _next.DisposeAsync();
    }

    private async ValueTask PassOnAsync(int atLeast, CancellationToken cancel)
    {
        if (_filled >= atLeast)
        {
            await _next.WriteAsync(_output.AsMemory(0, _filled), cancel);
            _filled = 0;
        }
    }

    private unsafe (int Taken, nuint Left) Step(ReadOnlySpan<byte> bytes, LibZstd.EndDirective directive)
    {
        fixed (byte* source = bytes, destination = _output)
        {
            var input = new LibZstd.InBuffer { Source = source, Size = (nuint)bytes.Length };
            var output = new LibZstd.OutBuffer { Destination = destination, Size = OutputBytes, Position = (nuint)_filled };
            var left = Check(LibZstd.Compress(_context.DangerousGetHandle(), ref output, ref input, directive));
            _filled = (int)output.Position;
            return ((int)input.Position, left);
        }
    }

    private void Set(LibZstd.Parameter parameter, int value) =>
        Check(LibZstd.SetParameter(_context.DangerousGetHandle(), parameter, value));

    private static nuint Check(nuint code) =>
        LibZstd.IsError(code) == 0
            ? code
            : throw new BackupException(ErrorKind.Failed, $"zstd compression failed: {LibZstd.ErrorName(code)}");
}
