using System.Text;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Pipelines;

/// <summary>The end of a stream is the same however it came in pieces.</summary>
public sealed class ByteTailTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("abc", "abc")]
    [InlineData("abcde", "abcde")]
    [InlineData("abcdef", "bcdef")]
    [InlineData("abcdefghijklm", "ijklm")]
    public void The_last_bytes_are_kept_in_order_whatever_the_pieces(string stream, string end)
    {
        for (var piece = 1; piece <= stream.Length + 1; piece++)
        {
            var tail = new ByteTail(5);
            foreach (var part in Encoding.ASCII.GetBytes(stream).Chunk(piece))
            {
                tail.Add(part);
            }

            tail.Add([]);
            Assert.Equal(end, Encoding.ASCII.GetString(tail.Bytes));
        }
    }
}
