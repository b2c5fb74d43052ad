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
            await EncryptedFile.EnsureAsync(Path.Combine(set, (string)item!["key"]!), method);
        }

        var segments = Directory.GetFiles(cluster.Archive, "0000000100000000????????", SearchOption.AllDirectories);
        Assert.True(segments.Length >= 3);
        foreach (var segment in segments)
        {
            await EncryptedFile.EnsureAsync(segment, method);
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
}
