using System.IO.Hashing;
using System.Security.Cryptography;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>Stages that hand bytes on as they are: hashing and peeking.</summary>
public sealed class PlainStageTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(500_000)]
    public async Task Hashing_passes_bytes_on_and_knows_their_number_and_hash(int size)
    {
        var random = NewRandom();
        var bytes = random.Noise(size);
        foreach (var (kind, hash) in new[] { (SumKind.Sha256, SHA256.HashData(bytes)), (SumKind.XxHash128, XxHash128.Hash(bytes)) })
        {
            var target = new MemoryStage();
            await using var stage = new HashingWriteStage(target, kind);

            await stage.WriteAllAsync(bytes, () => random.Next(1, 70_000));

            Assert.Equal(bytes, target.Published);
            Assert.Equal(size, stage.Bytes);
            Assert.Equal(Convert.ToHexStringLower(hash), stage.Hex);
        }
    }

    [Fact]
    public async Task A_hash_is_not_told_before_all_bytes_are_known()
    {
        var target = new MemoryStage();
        await using (var stage = new HashingWriteStage(target, SumKind.Sha256))
        {
            await stage.WriteAsync(new byte[10], Cancel);
            Assert.Equal(string.Empty, stage.Hex);
        }

        Assert.False(target.Completed);
        Assert.True(target.Disposed);
    }

    [Fact]
    public async Task Bytes_that_did_not_get_through_are_not_counted()
    {
        await using var stage = new HashingWriteStage(new FullDiskStage(room: 10), SumKind.XxHash128);
        await stage.WriteAsync(new byte[8], Cancel);

        await Assert.ThrowsAsync<IOException>(() => stage.WriteAsync(new byte[8], Cancel).AsTask());

        Assert.Equal(8, stage.Bytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(16)]
    [InlineData(5000)]
    public async Task Peeking_shows_the_first_bytes_and_they_are_read_again(int size)
    {
        var random = NewRandom();
        var bytes = random.Noise(size);
        foreach (var bufferBytes in (int[])[1, 5, 16, 17, 4096])
        {
            var source = new ScriptedStream(bytes, () => random.Next(1, 5));

            var (first, stream) = await PeekStage.ReadAsync(source, 16, static b => b.ToArray(), Cancel);

            Assert.Equal(bytes[..Math.Min(16, size)], first);
            Assert.Equal(bytes, await stream.ReadAllAsync(bufferBytes));
            Assert.True(source.Disposed);
        }
    }

    [Fact]
    public async Task Stages_are_used_asynchronously_and_in_one_direction_only()
    {
        await using var write = new MemoryStage();
        await using var read = new ScriptedStream(new byte[10]);

        Assert.Equal((false, true, false), (write.CanRead, write.CanWrite, write.CanSeek));
        Assert.Equal((true, false, false), (read.CanRead, read.CanWrite, read.CanSeek));
        Assert.Throws<NotSupportedException>(() => write.Write(new byte[1], 0, 1));
        Assert.Throws<NotSupportedException>(() => write.Length);
        Assert.Throws<NotSupportedException>(() => read.ReadByte());
        Assert.Throws<NotSupportedException>(() => read.Seek(0, SeekOrigin.Begin));
    }
}
