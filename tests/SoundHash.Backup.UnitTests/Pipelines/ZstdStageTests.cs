using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines.Zstd;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>zstd: what goes in comes out, other programs read it, and nothing damaged passes.</summary>
public sealed class ZstdStageTests
{
    public static TheoryData<int, int> Strengths => new() { { 1, 0 }, { 3, 0 }, { 3, 2 }, { 9, 1 }, { 19, 0 } };

    [Theory]
    [MemberData(nameof(Strengths))]
    public async Task Bytes_of_any_number_in_chunks_of_any_size_come_out_as_they_went_in(int level, int workers)
    {
        var random = NewRandom();
        foreach (var size in (int[])[0, 1, 2, 1000, 65_536, 131_072, 131_073, 262_144, 1_000_003, random.Next(3_000_000)])
        {
            var bytes = random.Next(2) == 0 ? random.Noise(size) : random.Prose(size);
            var largest = 1 << random.Next(4, 21);
            var stored = await CompressAsync(bytes, level, workers, () => random.Next(1, largest));

            Assert.Equal(bytes, await DecompressAsync(stored, () => random.Next(1, largest), random.Next(1, largest)));
        }
    }

    [Fact]
    public async Task The_zstd_program_reads_what_we_write()
    {
        var bytes = NewRandom().Prose(2_000_000);

        var stored = await CompressAsync(bytes, level: 3, workers: 2);

        Assert.Equal(bytes, await Programs.FilterAsync("zstd", ["-d", "-c", "-q"], stored));
        Assert.InRange(stored.Length, 1, bytes.Length / 2);
    }

    [Theory]
    [InlineData("-1", "--no-check")]
    [InlineData("-19", "--check")]
    [InlineData("--fast=5", "-T2")]
    public async Task We_read_what_the_zstd_program_writes(string level, string option)
    {
        var bytes = NewRandom().Prose(2_000_000);

        var stored = await Programs.FilterAsync("zstd", ["-c", "-q", level, option], bytes);

        Assert.Equal(bytes, await DecompressAsync(stored));
    }

    [Fact]
    public async Task Frames_one_after_another_are_read_as_one_stream()
    {
        var random = NewRandom();
        byte[] first = random.Prose(300_000), second = random.Noise(70_000);
        byte[] empty = [], skippable = [0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        byte[][] frames = [await CompressAsync(first), await CompressAsync(empty), skippable, await CompressAsync(second)];
        var stored = frames.SelectMany(static f => f).ToArray();

        Assert.Equal(first.Concat(second), await DecompressAsync(stored, () => random.Next(1, 5000), bufferBytes: 777));
    }

    [Fact]
    public async Task A_frame_that_is_cut_anywhere_is_an_error()
    {
        var random = NewRandom();
        var stored = await CompressAsync(random.Prose(4000));

        for (var length = 0; length < stored.Length; length++)
        {
            await AssertDamagedAsync(stored[..length], random);
        }
    }

    [Fact]
    public async Task A_second_frame_that_is_cut_is_an_error()
    {
        var random = NewRandom();
        var frame = await CompressAsync(random.Prose(4000));

        for (var length = 1; length < frame.Length; length += 7)
        {
            await AssertDamagedAsync([.. frame, .. frame[..length]], random);
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
                // A few bits of the header mean nothing for the content.
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
    public async Task Something_else_than_zstd_is_an_error_that_names_what_was_read()
    {
        var random = NewRandom();
        var e = await AssertDamagedAsync("-- PostgreSQL database dump"u8.ToArray(), random);

        Assert.StartsWith("object x can't be decompressed", e.Message, StringComparison.Ordinal);
        var good = await CompressAsync(random.Prose(100));
        await AssertDamagedAsync([.. good, .. "garbage behind"u8], random);
    }

    [Fact]
    public async Task Nothing_is_published_without_completion()
    {
        var target = new MemoryStage();
        await using (var stage = new ZstdCompressStage(target, level: 3, workers: 1))
        {
            await stage.WriteAsync(NewRandom().Noise(3_000_000), Cancel);
        }

        Assert.False(target.Completed);
        Assert.True(target.Disposed);
    }

    private static async Task<byte[]> CompressAsync(byte[] bytes, int level = 3, int workers = 0, Func<int>? chunk = null)
    {
        var target = new MemoryStage();
        await using var stage = new ZstdCompressStage(target, level, workers);
        await stage.WriteAllAsync(bytes, chunk);
        return target.Published;
    }

    private static Task<byte[]> DecompressAsync(byte[] stored, Func<int>? chunk = null, int bufferBytes = 64 * 1024) =>
        new ZstdDecompressStage(new ScriptedStream(stored, chunk), "object x").ReadAllAsync(bufferBytes);

    private static async Task<BackupException> AssertDamagedAsync(byte[] stored, Random random)
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => DecompressAsync(stored, () => random.Next(1, 500)));
        Assert.Equal(ErrorKind.Verification, e.Kind);
        return e;
    }
}
