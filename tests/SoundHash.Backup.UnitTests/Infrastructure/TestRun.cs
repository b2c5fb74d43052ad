using System.Globalization;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>What belongs to the test that runs now.</summary>
public static class TestRun
{
    /// <summary>A test that hangs fails after so many milliseconds; none comes near it.</summary>
    public const int HangLimit = 120_000;

    /// <summary>Cancelled when the test is.</summary>
    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Random data with a seed that is printed, and that SHBACKUP_TEST_SEED repeats.</summary>
    public static Random NewRandom()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("SHBACKUP_TEST_SEED"), CultureInfo.InvariantCulture, out var given)
            ? given
            : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"SHBACKUP_TEST_SEED={seed}");
        return new Random(seed);
    }

    /// <summary>Random bytes, which no compression makes smaller.</summary>
    public static byte[] Noise(this Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Bytes as in a dump: runs of repeated words, which compression makes much smaller.</summary>
    public static byte[] Prose(this Random random, int count)
    {
        var bytes = new byte[count];
        for (var at = 0; at < count;)
        {
            var word = random.Next(50);
            for (var length = random.Next(1, 40); length > 0 && at < count; length--)
            {
                bytes[at++] = (byte)('a' + ((word + length) % 26));
            }
        }

        return bytes;
    }
}
