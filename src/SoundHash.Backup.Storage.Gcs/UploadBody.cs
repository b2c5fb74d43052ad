using System.Net;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>A request's body from memory, sent in pieces so that it is seen how it moves.</summary>
/// <param name="parts">What is sent, one after the other.</param>
/// <param name="moved">Told after every piece.</param>
internal sealed class UploadBody(ReadOnlyMemory<byte>[] parts, Action moved) : HttpContent
{
    private const int Piece = 64 * 1024;

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        foreach (var part in parts)
        {
            for (var rest = part; !rest.IsEmpty; rest = rest[Math.Min(Piece, rest.Length)..])
            {
                await stream.WriteAsync(rest[..Math.Min(Piece, rest.Length)], cancellationToken);
                moved();
            }
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = parts.Sum(static p => (long)p.Length);
        return true;
    }
}
