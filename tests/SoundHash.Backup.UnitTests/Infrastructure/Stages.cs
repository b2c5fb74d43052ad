using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>The end of a write pipeline in memory: keeps the bytes, and knows whether they were published.</summary>
internal sealed class MemoryStage : WriteStage
{
    private readonly MemoryStream _bytes = new();

    public bool Completed { get; private set; }

    public bool Disposed { get; private set; }

    /// <summary>What was published; a test that asks for it before that fails.</summary>
    public byte[] Published => Completed ? _bytes.ToArray() : throw new InvalidOperationException("nothing was published");

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(Disposed, this);
        await _bytes.WriteAsync(buffer, cancellationToken);
    }

    public override Task CompleteAsync(CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(Disposed, this);
        Assert.False(Completed, "a stage is completed once");
        Completed = true;
        return Task.CompletedTask;
    }

    public override ValueTask DisposeAsync()
    {
        Disposed = true;
        return ValueTask.CompletedTask;
    }
}

/// <summary>The end of a write pipeline on a disk that is full after some bytes.</summary>
internal sealed class FullDiskStage(int room) : WriteStage
{
    public const string Message = "No space left on device";

    private int _room = room;

    public bool Completed { get; private set; }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _room -= buffer.Length;
        return _room >= 0 ? ValueTask.CompletedTask : throw new IOException(Message);
    }

    public override Task CompleteAsync(CancellationToken cancel)
    {
        Completed = true;
        return Task.CompletedTask;
    }

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

/// <summary>A source that hands out its bytes in chunks of the test's choice and can fail in place of its end.</summary>
internal sealed class ScriptedStream(byte[] bytes, Func<int>? chunk = null, Exception? failure = null) : ReadStage
{
    private int _at;

    public bool Disposed { get; private set; }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_at == bytes.Length && failure is not null)
        {
            throw failure;
        }

        var take = Math.Min(Math.Min(buffer.Length, bytes.Length - _at), chunk?.Invoke() ?? int.MaxValue);
        bytes.AsMemory(_at, take).CopyTo(buffer);
        _at += take;
        return ValueTask.FromResult(take);
    }

    public override ValueTask DisposeAsync()
    {
        Disposed = true;
        return ValueTask.CompletedTask;
    }
}

internal static class StageExtensions
{
    /// <summary>Writes bytes in chunks and completes the stage.</summary>
    public static async Task WriteAllAsync(this WriteStage stage, byte[] bytes, Func<int>? chunk = null)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var take = Math.Min(bytes.Length - at, chunk?.Invoke() ?? int.MaxValue);
            await stage.WriteAsync(bytes.AsMemory(at, take), TestRun.Cancel);
            at += take;
        }

        await stage.CompleteAsync(TestRun.Cancel);
    }

    /// <summary>Reads a stream to its end with a buffer of some size, and disposes it.</summary>
    public static async Task<byte[]> ReadAllAsync(this Stream stream, int bufferBytes = 64 * 1024)
    {
        await using (stream)
        {
            using var all = new MemoryStream();
            var buffer = new byte[bufferBytes];
            int read;
            while ((read = await stream.ReadAsync(buffer, TestRun.Cancel)) > 0)
            {
                all.Write(buffer, 0, read);
            }

            return all.ToArray();
        }
    }
}
