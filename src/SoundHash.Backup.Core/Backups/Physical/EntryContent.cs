using System.Buffers;
using System.IO.Hashing;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>Reads some bytes from an offset, which only ever grows by what was read; 0 at the end.</summary>
internal delegate ValueTask<int> ReadPiece(Memory<byte> buffer, long offset, CancellationToken cancel);

/// <summary>
/// What TarWriter copies into an entry: exactly so many bytes in large pieces, measured in passing. A source that ends early is
/// filled up with zeros. It looks seekable, since TarWriter asks the length of nothing else.
/// </summary>
internal sealed class EntryContent(ReadPiece read, long length, PageCheck? pages, TransferMeter meter) : Stream
{
    private readonly XxHash128 _hash = new();
    private uint _crc = Postgres.Crc32C.Start;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => length;

    /// <summary>Bytes copied so far.</summary>
    public override long Position { get; set; }

    /// <summary>CRC-32C of what was copied.</summary>
    public uint Crc => Postgres.Crc32C.Finish(_crc);

    /// <summary>XXH128 of what was copied, lower-case hex.</summary>
    public string XxHash => Convert.ToHexStringLower(_hash.GetCurrentHash());

    public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(StreamCopy.ChunkBytes);
        try
        {
            for (var ended = false; Position < length;)
            {
                var piece = buffer.AsMemory(0, (int)Math.Min(StreamCopy.ChunkBytes, length - Position));
                var filled = 0;
                while (!ended && filled < piece.Length)
                {
                    var got = await read(piece[filled..], Position + filled, cancellationToken);
                    ended = got == 0;
                    filled += got;
                }

                piece[filled..].Span.Clear();
                Measure(piece.Span);
                await destination.WriteAsync(piece, cancellationToken);
                Position += piece.Length;
                await meter.AddAsync(piece.Length, cancellationToken);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private void Measure(ReadOnlySpan<byte> piece)
    {
        _crc = Postgres.Crc32C.Add(_crc, piece);
        _hash.Append(piece);
        pages?.Add(piece, Position);
    }
}
