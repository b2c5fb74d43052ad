using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>The choice of a compression.</summary>
public sealed class CompressionTests
{
    [Theory]
    [InlineData(CompressionMethod.None, "", 0)]
    [InlineData(CompressionMethod.Zstd, ".zst", 0xFD2FB528)]
    [InlineData(CompressionMethod.Gzip, ".gz", 0x8B1F)]
    public async Task What_a_method_writes_has_its_suffix_and_first_bytes_and_is_read_by_the_same_method(
        CompressionMethod method,
        string suffix,
        uint magic)
    {
        var bytes = NewRandom().Prose(100_000);
        var target = new MemoryStage();
        await using var stage = new Compression(method, Level: 3, Workers: 1).Compress(target);
        await stage.WriteAllAsync(bytes);

        Assert.Equal(suffix, Compression.Suffix(method));
        var first = BitConverter.ToUInt32(target.Published);
        Assert.Equal(magic, method switch { CompressionMethod.Gzip => first & 0xFFFF, CompressionMethod.Zstd => first, _ => 0 });
        Assert.Equal(bytes, await Compression.Decompress(method, new ScriptedStream(target.Published), "x").ReadAllAsync());
    }

    [Fact]
    public async Task A_stage_that_fails_after_compression_is_reported_as_itself()
    {
        foreach (var method in Enum.GetValues<CompressionMethod>())
        {
            var disk = new FullDiskStage(room: 100_000);
            var e = await Assert.ThrowsAsync<IOException>(async () =>
            {
                await using var stage = new Compression(method, Level: 1, Workers: 2).Compress(disk);
                await stage.WriteAllAsync(NewRandom().Noise(3_000_000), () => 65_536);
            });

            Assert.Equal(FullDiskStage.Message, e.Message);
            Assert.False(disk.Completed);
        }
    }

    [Theory]
    [InlineData(CompressionMethod.Zstd)]
    [InlineData(CompressionMethod.Gzip)]
    public async Task A_source_that_fails_is_reported_as_itself(CompressionMethod method)
    {
        var target = new MemoryStage();
        await using var stage = new Compression(method, Level: 1, Workers: 0).Compress(target);
        await stage.WriteAllAsync(NewRandom().Prose(100_000));
        var source = new ScriptedStream(target.Published[..1000], failure: new BackupException(ErrorKind.Storage, "the store is gone"));

        var e = await Assert.ThrowsAsync<BackupException>(() => Compression.Decompress(method, source, "x").ReadAllAsync());

        Assert.Equal("the store is gone", e.Message);
        Assert.True(source.Disposed);
    }
}
