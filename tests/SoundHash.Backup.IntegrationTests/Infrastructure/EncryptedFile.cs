using System.Text;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>What tells a file that a program encrypted.</summary>
public static class EncryptedFile
{
    /// <summary>Asserts that age or gpg wrote a file.</summary>
    public static async Task EnsureAsync(string path, string method)
    {
        var begin = new byte[32];
        await using var file = File.OpenRead(path);
        await file.ReadExactlyAsync(begin, TestContext.Current.CancellationToken);
        // gpg's begins with a packet that holds a session key for one public key (RFC 4880, 4.2 and 4.3).
        var isEncrypted = method == "age" ? Encoding.ASCII.GetString(begin).StartsWith("age-encryption.org/v1", StringComparison.Ordinal)
            : (begin[0] & 0b1111_1100) == 0b1000_0100 || begin[0] == 0b1100_0001;
        Assert.True(isEncrypted, $"{path} begins with {Convert.ToHexString(begin)}");
    }
}
