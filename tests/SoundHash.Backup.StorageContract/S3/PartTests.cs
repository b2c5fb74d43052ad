using Amazon.S3.Model;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>How large parts are, and how many of them are in memory.</summary>
public sealed class PartTests
{
    private const long MiB = 1024 * 1024;
    private const long LargestObject = 5 * MiB * MiB;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(5 * MiB)]
    [InlineData((5 * MiB) + 1)]
    [InlineData(8 * MiB)]
    [InlineData(100 * MiB)]
    [InlineData(1024 * MiB)]
    public void As_many_parts_as_there_may_be_always_reach_the_largest_object(long first)
    {
        long sent = 0;
        for (var parts = 1; sent < LargestObject; parts++)
        {
            Assert.InRange(parts, 1, PartSizes.MostParts);
            var size = PartSizes.Next((int)first, sent);
            Assert.InRange(size, first, PartSizes.Largest);
            sent += size;
        }
    }

    [Fact]
    public void Parts_are_no_larger_than_an_object_needs()
    {
        Assert.Equal(8 * MiB, PartSizes.Next(8 * (int)MiB, 7000 * MiB));
        Assert.Equal(16 * MiB, PartSizes.Next(8 * (int)MiB, 8000 * MiB));
        Assert.Equal(128 * MiB, PartSizes.Next(8 * (int)MiB, 100_000 * MiB));
    }

    [Fact]
    public async Task Buffers_are_as_many_as_may_be_in_flight_and_are_used_again()
    {
        var seen = new HashSet<byte[]>();
        var gate = new SemaphoreSlim(0);
        await using var queue = new PartQueue(3, async (number, _, token) =>
        {
            await gate.WaitAsync(token);
            return new PartETag(number, "x");
        });
        for (var n = 0; n < 3; n++)
        {
            var buffer = await queue.RentAsync(1000, Cancel);
            seen.Add(buffer);
            queue.Send(buffer, 1000);
        }

        var fourth = queue.RentAsync(1000, Cancel);
        Assert.False(fourth.IsCompleted);

        gate.Release(100);
        Assert.Contains(await fourth, seen);
        queue.Send(await fourth, 1000);
        for (var n = 0; n < 50; n++)
        {
            var buffer = await queue.RentAsync(1000, Cancel);
            seen.Add(buffer);
            queue.Send(buffer, 1000);
        }

        Assert.Equal(Enumerable.Range(1, 54), (await queue.AllAsync(Cancel)).Select(static p => p.PartNumber!.Value));
        Assert.Equal(3, seen.Count);
    }

    [Theory]
    [InlineData(1, 300_000)]
    [InlineData(60_000, 5_000_000)]
    [InlineData(1_000_000, 20_000_000)]
    public async Task What_outgrows_its_first_small_buffer_arrives_whole(int chunk, int size)
    {
        var bytes = new byte[size];
        for (var n = 0; n < size; n++)
        {
            bytes[n] = (byte)(n * 31 >> 3);
        }

        await using var s3 = new ScriptedS3();
        using var store = S3Stores.Open(S3Stores.Options(s3) with { PartSize = 8 * (int)MiB });
        await using (var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel))
        {
            for (var at = 0; at < size; at += chunk)
            {
                await writer.WriteAsync(bytes.AsMemory(at, Math.Min(chunk, size - at)), Cancel);
            }

            await writer.CompleteAsync(Cancel);
        }

        using var read = new MemoryStream();
        await using var stored = await store.OpenReadAsync("k", 0, Cancel);
        await stored.CopyToAsync(read, Cancel);
        Assert.Equal(bytes, read.ToArray());
    }

    [Fact]
    public async Task The_first_failure_is_the_one_that_is_told_and_stops_the_others()
    {
        var stopped = new TaskCompletionSource();
        await using var queue = new PartQueue(3, async (number, _, token) =>
        {
            if (number == 2)
            {
                throw new StorageException("the second");
            }

            token.Register(stopped.SetResult);
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            return new PartETag(number, "x");
        });
        queue.Send(await queue.RentAsync(10, Cancel), 10);
        queue.Send(await queue.RentAsync(10, Cancel), 10);

        await stopped.Task;
        Assert.Equal("the second", (await Assert.ThrowsAsync<StorageException>(() => queue.RentAsync(10, Cancel))).Message);
        Assert.Equal("the second", (await Assert.ThrowsAsync<StorageException>(() => queue.AllAsync(Cancel))).Message);
    }
}
