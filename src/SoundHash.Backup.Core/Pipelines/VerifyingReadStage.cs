using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Pipelines;

/// <summary>
/// Passes bytes on unchanged and compares their count and hash with what was recorded. A difference is thrown
/// instead of the end of the stream.
/// </summary>
/// <param name="source">The stream to read; disposed with this stage.</param>
/// <param name="subject">What is read, for messages: "object x of set y, as stored".</param>
/// <param name="expectedBytes">The recorded length in bytes, or null where only the hash was recorded.</param>
/// <param name="expectedSum">The recorded hash, or null where only the length is compared.</param>
public sealed class VerifyingReadStage(Stream source, string subject, long? expectedBytes, ContentSum? expectedSum) : ReadStage
{
    private readonly RunningSum? _sum = expectedSum is { } known ? new RunningSum(known.Kind) : null;
    private long _bytes;
    private bool _verified;

    /// <inheritdoc/>
    /// <exception cref="BackupException">The bytes are not the recorded ones.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await source.ReadAsync(buffer, cancellationToken);
        if (read > 0)
        {
            _sum?.Add(buffer.Span[..read]);
            _bytes += read;
            return expectedBytes is null || _bytes <= expectedBytes ? read : throw Damaged($"is longer than the recorded {expectedBytes} bytes");
        }

        if (!_verified && buffer.Length > 0)
        {
            Verify();
            _verified = true;
        }

        return 0;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        _sum?.Dispose();
        await source.DisposeAsync();
    }

    private void Verify()
    {
        if (expectedBytes is not null && _bytes != expectedBytes)
        {
            throw Damaged($"has {_bytes} bytes where {expectedBytes} were recorded");
        }

        if (_sum is not null && _sum.Hex() is var actual && actual != expectedSum!.Value.Hex)
        {
            throw Damaged($"has {_sum.Name} {actual} where {expectedSum.Value.Hex} was recorded");
        }
    }

    private BackupException Damaged(string how) =>
        new(ErrorKind.Verification, $"{subject} {how}", "use another set or copy: shbackup backup list, then shbackup backup verify --all");
}
