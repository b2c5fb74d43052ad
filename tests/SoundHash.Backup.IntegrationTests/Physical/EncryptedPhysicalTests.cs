using System.Text;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>Base backups and WAL that are encrypted: who has the key recovers to any moment, and nobody else gets a byte.</summary>
public sealed class EncryptedPhysicalTests(AgeCluster age, GpgCluster gpg) : IClassFixture<AgeCluster>, IClassFixture<GpgCluster>
{
    [Theory]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task An_encrypted_set_and_encrypted_WAL_recover_to_a_moment_after_the_backup(string method)
    {
        var cluster = Of(method);
        var set = Path.Combine(cluster.Site, "backups", "sets", cluster.Set);
        foreach (var item in new SetEditor(set).Manifest["objects"]!.AsArray())
        {
            await EnsureEncryptedAsync(Path.Combine(set, (string)item!["key"]!), method);
        }

        var segments = Directory.GetFiles(cluster.Archive, "0000000100000000????????", SearchOption.AllDirectories);
        Assert.True(segments.Length >= 3);
        foreach (var segment in segments)
        {
            await EnsureEncryptedAsync(segment, method);
        }

        await using var restored = await RestoredServer.PlaceAsync();
        var result = (await cluster.RestoreAsync("own", restored, "--to-time", cluster.ThirdTime, "--start")).Expect(0);

        Assert.Contains("the server pauses", result.Output, StringComparison.Ordinal);
        // It has the settings of the lost server, its socket among them.
        Assert.Equal(restored.Data, await cluster.TextAsync("postgres", "SHOW data_directory"));
        Assert.Equal("1,2,3", await cluster.TextAsync("postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM rows"));
    }

    [Theory]
    [InlineData("age", "foreign", "check that the identity belongs to a recipient")]
    [InlineData("age", "none", "no identity is given")]
    [InlineData("gpg", "foreign", "the secret key must be in the keyring")]
    [InlineData("gpg", "none", "the secret key must be in the keyring")]
    public async Task Without_the_right_key_nothing_is_written(string method, string keys, string says)
    {
        await using var restored = await RestoredServer.PlaceAsync();

        (await Of(method).RestoreAsync(keys, restored)).Expect(7).Says(says);
        (await Of(method).RestoreAsync(keys, restored, "--to-time", Of(method).ThirdTime, "--start")).Expect(7).Says(says);

        Assert.Equal([], Directory.GetFileSystemEntries(restored.Folder));
    }

    private EncryptedCluster Of(string method) => method == "age" ? age : gpg;

    private static async Task EnsureEncryptedAsync(string path, string method)
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
