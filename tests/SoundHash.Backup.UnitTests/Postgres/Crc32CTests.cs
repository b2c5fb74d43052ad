using System.Text;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class Crc32CTests
{
    // The check value of the catalogue of parametrised CRC algorithms, and RFC 3720, B.4.
    [Fact]
    public void Known_sums_come_out()
    {
        Assert.Equal(0xE3069283U, Crc32C.Of(Encoding.ASCII.GetBytes("123456789")));
        Assert.Equal(0x8A9136AAU, Crc32C.Of(new byte[32]));
        Assert.Equal(0x62A8AB43U, Crc32C.Of(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794EU, Crc32C.Of(Enumerable.Range(0, 32).Select(static i => (byte)i).ToArray()));
        Assert.Equal(0U, Crc32C.Of([]));
    }

    [Fact]
    public void Pieces_of_any_length_add_up_to_the_sum_of_the_whole()
    {
        var random = TestRun.NewRandom();
        var bytes = random.Noise(10_000);
        var sum = Crc32C.Start;
        for (var at = 0; at < bytes.Length;)
        {
            var length = Math.Min(random.Next(0, 70), bytes.Length - at);
            sum = Crc32C.Add(sum, bytes.AsSpan(at, length));
            at += length;
        }

        Assert.Equal(Crc32C.Of(bytes), Crc32C.Finish(sum));
    }
}
