using System.Security.Cryptography;

namespace SoundHash.Backup.Storage.S3;

/// <summary>Bytes in memory that are one request's body, and can be sent again.</summary>
/// <param name="buffer">Where they are, from its beginning.</param>
/// <param name="length">How many.</param>
internal sealed class PartBody(byte[] buffer, int length)
{
    private readonly Lazy<byte[]> _md5 = new(() => Hash(buffer.AsSpan(0, length)));

    public byte[] Buffer => buffer;

    public int Length => length;

    /// <summary>As Content-MD5 says it.</summary>
    public string Md5Base64 => Convert.ToBase64String(_md5.Value);

    /// <summary>As an ETag says it.</summary>
    public string Md5Hex => Convert.ToHexStringLower(_md5.Value);

    /// <summary>A stream for one attempt.</summary>
    /// <param name="moved">Told whenever bytes of it are taken to be sent.</param>
    public Stream Open(Action moved) => new Reader(buffer, length, moved);

    // No secret hangs on it: it is the checksum that the protocol has, and that every S3 store compares.
#pragma warning disable CA5351
    private static byte[] Hash(ReadOnlySpan<byte> bytes) => MD5.HashData(bytes);
#pragma warning restore CA5351

    // Derived, since every way of reading has to be seen, and MemoryStream has a short cut for copying itself.
    private sealed class Reader(byte[] buffer, int length, Action moved) : MemoryStream(buffer, 0, length, writable: false, publiclyVisible: true)
    {
        public override int Read(byte[] buffer, int offset, int count) => Counted(base.Read(buffer, offset, count));

        public override int Read(Span<byte> buffer) => Counted(base.Read(buffer));

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            Task.FromResult(Read(buffer, offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            ValueTask.FromResult(Read(buffer.Span));

        public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
        {
            const int Piece = 64 * 1024;
            while (Position < Length)
            {
                var taken = (int)Math.Min(Piece, Length - Position);
                await destination.WriteAsync(GetBuffer().AsMemory((int)Position, taken), cancellationToken);
                Position += Counted(taken);
            }
        }

        private int Counted(int read)
        {
            moved();
            return read;
        }
    }
}
