using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>gzip: what goes in comes out, other programs read it, and nothing damaged passes.</summary>
public sealed class GzipStageTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(6)]
    [InlineData(9)]
    public async Task Bytes_of_any_number_in_chunks_of_any_size_come_out_as_they_went_in(int level)
    {
        var random = NewRandom();
        foreach (var size in (int[])[0, 1, 2, 1000, 8192, 65_536, random.Next(2_000_000)])
        {
            var bytes = random.Next(2) == 0 ? random.Noise(size) : random.Prose(size);
            var largest = 1 << random.Next(4, 21);
            var stored = await CompressAsync(bytes, level, () => random.Next(1, largest));

            Assert.Equal(bytes, await DecompressAsync(stored, () => random.Next(1, largest), random.Next(1, largest)));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2_000_000)]
    public async Task The_gzip_program_reads_what_we_write(int size)
    {
        var bytes = NewRandom().Prose(size);

        Assert.Equal(bytes, await Programs.FilterAsync("gzip", ["-d", "-c"], await CompressAsync(bytes)));
    }

    [Fact]
    public async Task We_read_what_the_gzip_program_writes_also_in_several_members()
    {
        var random = NewRandom();
        byte[] first = random.Prose(300_000), second = random.Noise(70_000);
        byte[][] members = [await GzipAsync(first), await GzipAsync([]), await GzipAsync(second)];
        var stored = members.SelectMany(static m => m).ToArray();

        Assert.Equal(first.Concat(second), await DecompressAsync(stored, () => random.Next(1, 5000), bufferBytes: 777));
    }

    [Fact]
    public async Task A_member_that_is_cut_anywhere_is_an_error()
    {
        var random = NewRandom();
        var stored = await CompressAsync(random.Prose(4000));

        for (var length = 0; length < stored.Length; length++)
        {
            var cut = stored[..length];
            var e = await Assert.ThrowsAsync<BackupException>(() => DecompressAsync(cut, () => random.Next(1, 500)));
            Assert.Equal(ErrorKind.Verification, e.Kind);
            Assert.StartsWith("object x can't be decompressed", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_flipped_bit_never_passes_for_other_content()
    {
        var random = NewRandom();
        var bytes = random.Prose(20_000);
        var stored = await CompressAsync(bytes);
        var refused = 0;
        for (var at = 0; at < stored.Length; at += random.Next(1, 4))
        {
            var damaged = (byte[])stored.Clone();
            damaged[at] ^= (byte)(1 << random.Next(8));
            try
            {
                // Time and system in the header mean nothing for the content.
                Assert.Equal(bytes, await DecompressAsync(damaged));
            }
            catch (BackupException e) when (e.Kind == ErrorKind.Verification)
            {
                refused++;
            }
        }

        Assert.InRange(refused, stored.Length / 5, stored.Length);
    }

    [Fact]
    public async Task Something_else_than_gzip_is_an_error()
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => DecompressAsync("-- PostgreSQL database dump"u8.ToArray()));

        Assert.Equal(ErrorKind.Verification, e.Kind);
    }

    [Fact]
    public async Task Nothing_is_published_without_completion()
    {
        var target = new MemoryStage();
        await using (var stage = new GzipCompressStage(target, level: 1))
        {
            await stage.WriteAsync(NewRandom().Noise(100_000), Cancel);
        }

        Assert.False(target.Completed);
        Assert.True(target.Disposed);
    }

    [Fact]
    public async Task A_full_disk_is_reported_as_itself()
    {
        var e = await Assert.ThrowsAsync<IOException>(async () =>
        {
            await using var stage = new GzipCompressStage(new FullDiskStage(room: 10_000), level: 1);
            await stage.WriteAllAsync(NewRandom().Noise(1_000_000));
        });

        Assert.Equal(FullDiskStage.Message, e.Message);
    }

    private static Task<byte[]> GzipAsync(byte[] bytes) => Programs.FilterAsync("gzip", ["-c"], bytes);

    private static async Task<byte[]> CompressAsync(byte[] bytes, int level = 6, Func<int>? chunk = null)
    {
        var target = new MemoryStage();
        await using var stage = new GzipCompressStage(target, level);
        await stage.WriteAllAsync(bytes, chunk);
        return target.Published;
    }

    private static Task<byte[]> DecompressAsync(byte[] stored, Func<int>? chunk = null, int bufferBytes = 64 * 1024) =>
        new GzipDecompressStage(new ScriptedStream(stored, chunk), "object x").ReadAllAsync(bufferBytes);
}
