using System.Threading.Channels;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Pipelines;

/// <summary>Moves bytes between child programs and stages. Every copy ends whole or throws.</summary>
public static class StreamCopy
{
    /// <summary>The chunk size of every copy, in bytes: what stays in a processor's cache from one stage to the next.</summary>
    public const int ChunkBytes = 256 * 1024;

    private const int ChunksAhead = 4;

    /// <summary>
    /// Reads a child's stdout to its end, checks the child's success and completes the stage. After a failure the child has
    /// ended and the stage is not complete.
    /// </summary>
    public static async Task FromChildAsync(ChildProcess child, WriteStage target, TransferMeter meter, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(ChunkBytes);
        using var end = EndOnCancel(child, cancel);
        try
        {
            int read;
            while ((read = await child.ReadOutputAsync(buffer, cancel)) > 0)
            {
                await target.WriteAsync(buffer.AsMemory(0, read), cancel);
                await meter.AddAsync(read, cancel);
            }

            await child.EnsureSuccessAsync(cancel);
        }
        catch
        {
            // The registration above may be gone before its turn comes: the read that is cancelled first ends this method.
            await child.EndAsync();
            throw;
        }

        await target.CompleteAsync(cancel);
    }

    /// <summary>
    /// Writes a stream to a child's stdin, then closes it. When the stream fails, the child is ended before its stdin
    /// closes, so that it can't take the part for the whole.
    /// </summary>
    public static async Task ToChildAsync(Stream source, ChildProcess child, TransferMeter meter, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(ChunkBytes);
        using var end = EndOnCancel(child, cancel);
        try
        {
            int read;
            while ((read = await source.ReadAsync(buffer, cancel)) > 0)
            {
                await child.WriteInputAsync(buffer.AsMemory(0, read), cancel);
                await meter.AddAsync(read, cancel);
            }
        }
        catch
        {
            await child.EndAsync();
            throw;
        }

        child.CloseInput();
    }

    /// <summary>Reads a child's stdout to its end and throws the bytes away.</summary>
    public static async Task DiscardOutputAsync(ChildProcess child, CancellationToken cancel)
    {
        var buffer = new byte[64 * 1024];
        while (await child.ReadOutputAsync(buffer, cancel) > 0)
        {
        }
    }

    /// <summary>
    /// Writes a stream to a stage, which is not completed. The next chunks are read, and hashed where they are checked, while others are
    /// written: in turn, a copy from a store to a disk takes twice as long.
    /// </summary>
    public static async Task ReadAheadAsync(Stream source, WriteStage target, TransferMeter meter, CancellationToken cancel)
    {
        var free = Channel.CreateBounded<byte[]>(ChunksAhead);
        var filled = Channel.CreateBounded<(byte[] Buffer, int Length)>(ChunksAhead);
        for (var n = 0; n < ChunksAhead; n++)
        {
            free.Writer.TryWrite(GC.AllocateUninitializedArray<byte>(ChunkBytes));
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var reading = Task.Run(() => FillAsync(source, free.Reader, filled.Writer, stop.Token), CancellationToken.None);
        try
        {
            await foreach (var (buffer, length) in filled.Reader.ReadAllAsync(cancel))
            {
                await target.WriteAsync(buffer.AsMemory(0, length), cancel);
                await meter.AddAsync(length, cancel);
                free.Writer.TryWrite(buffer);
            }
        }
        catch
        {
            await stop.CancelAsync();
            throw;
        }
        finally
        {
            // Whoever disposes of the source must not do so while it is read.
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        // What failed there ended the chunks too.
        await reading;
    }

    /// <summary>Reads a stream to its end, for the checks that take place there, and throws the bytes away.</summary>
    /// <returns>How many there were.</returns>
    public static async Task<long> DrainAsync(Stream source, TransferMeter? meter, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(ChunkBytes);
        var total = 0L;
        int read;
        while ((read = await source.ReadAsync(buffer, cancel)) > 0)
        {
            total += read;
            if (meter is not null)
            {
                await meter.AddAsync(read, cancel);
            }
        }

        return total;
    }

    private static async Task FillAsync(
        Stream source, ChannelReader<byte[]> free, ChannelWriter<(byte[] Buffer, int Length)> filled, CancellationToken cancel)
    {
        try
        {
            while (true)
            {
                var buffer = await free.ReadAsync(cancel);
                var read = await source.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancel);
                if (read == 0)
                {
                    return;
                }

                filled.TryWrite((buffer, read));
            }
        }
        finally
        {
            filled.Complete();
        }
    }

    // A blocked read or write on a pipe is not always interrupted by a token; the end of the child always ends it.
    private static CancellationTokenRegistration EndOnCancel(ChildProcess child, CancellationToken cancel) =>
        cancel.Register(static c => _ = ((ChildProcess)c!).EndAsync(), child);
}
