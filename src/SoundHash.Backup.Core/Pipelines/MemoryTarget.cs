namespace SoundHash.Backup.Pipelines;

/// <summary>The last stage of a pipeline whose result is kept in memory.</summary>
/// <param name="expectedBytes">About how many bytes come.</param>
internal sealed class MemoryTarget(int expectedBytes) : WriteStage
{
    private readonly MemoryStream _memory = new(expectedBytes);

    /// <summary>What was written.</summary>
    public ReadOnlyMemory<byte> Bytes => _memory.GetBuffer().AsMemory(0, (int)_memory.Length);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _memory.Write(buffer.Span);
        return ValueTask.CompletedTask;
    }

    public override Task CompleteAsync(CancellationToken cancel) => Task.CompletedTask;

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
