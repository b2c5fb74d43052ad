using System.Security.Cryptography;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>Whoever saw the end of a verified stream has seen the right bytes and all of them.</summary>
public sealed class VerifyingReadStageTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    public async Task The_recorded_bytes_pass_unchanged(int size)
    {
        var random = NewRandom();
        var bytes = random.Noise(size);
        var source = new ScriptedStream(bytes, () => random.Next(1, 5000));

        Assert.Equal(bytes, await Verify(source, bytes).ReadAllAsync(bufferBytes: 1234));
        Assert.True(source.Disposed);
    }

    [Fact]
    public async Task Another_byte_is_thrown_in_place_of_the_end()
    {
        var bytes = NewRandom().Noise(10_000);
        var damaged = (byte[])bytes.Clone();
        damaged[5000] ^= 1;

        var (read, e) = await ReadUntilFailureAsync(Verify(new ScriptedStream(damaged), bytes));

        Assert.Equal(10_000, read);
        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.StartsWith("object x has SHA-256 ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_byte_is_thrown_in_place_of_the_end()
    {
        var bytes = NewRandom().Noise(10_000);

        var (read, e) = await ReadUntilFailureAsync(Verify(new ScriptedStream(bytes[..^1]), bytes));

        Assert.Equal(9_999, read);
        Assert.Equal("object x has 9999 bytes where 10000 were recorded", e.Message);
    }

    [Fact]
    public async Task One_byte_too_many_is_never_handed_on()
    {
        var bytes = NewRandom().Noise(10_000);

        var (read, e) = await ReadUntilFailureAsync(Verify(new ScriptedStream([.. bytes, 0], () => 1000), bytes));

        Assert.InRange(read, 0, 10_000);
        Assert.Equal("object x is longer than the recorded 10000 bytes", e.Message);
    }

    [Fact]
    public async Task An_endless_source_is_given_up_at_the_recorded_length()
    {
        var chunks = 0;
        var source = new ScriptedStream(new byte[50_000_000], () =>
        {
            chunks++;
            return 1000;
        });

        await ReadUntilFailureAsync(Verify(source, new byte[10_000]));

        Assert.Equal(11, chunks);
    }

    [Fact]
    public async Task The_end_can_be_read_twice_and_an_empty_buffer_is_no_end()
    {
        var bytes = NewRandom().Noise(10);
        await using var stage = Verify(new ScriptedStream(bytes), bytes);

        Assert.Equal(0, await stage.ReadAsync(Memory<byte>.Empty, Cancel));
        Assert.Equal(10, await stage.ReadAsync(new byte[20], Cancel));
        Assert.Equal(0, await stage.ReadAsync(new byte[20], Cancel));
        Assert.Equal(0, await stage.ReadAsync(new byte[20], Cancel));
    }

    private static VerifyingReadStage Verify(Stream source, byte[] recorded) =>
        new(source, "object x", recorded.Length, ContentSum.Sha256(Convert.ToHexStringLower(SHA256.HashData(recorded))));

    private static async Task<(int Read, BackupException Error)> ReadUntilFailureAsync(VerifyingReadStage stage)
    {
        var total = 0;
        var e = await Assert.ThrowsAsync<BackupException>(async () =>
        {
            await using (stage)
            {
                var buffer = new byte[3000];
                int read;
                while ((read = await stage.ReadAsync(buffer, Cancel)) > 0)
                {
                    total += read;
                }
            }
        });
        return (total, e);
    }
}
