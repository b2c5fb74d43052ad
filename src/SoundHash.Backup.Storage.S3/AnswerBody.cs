using Amazon.S3.Model;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Storage.S3;

/// <summary>The body of an answer, which is let go with it.</summary>
internal sealed class AnswerBody(GetObjectResponse answer) : ReadStage
{
    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        answer.ResponseStream.ReadAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        answer.Dispose();
        return ValueTask.CompletedTask;
    }
}
