using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>wal-archive verify where the key of an encrypted archive is kept elsewhere. Each test has an archive of its own.</summary>
public sealed class ArchiveKeylessTests : IAsyncLifetime
{
    private readonly CaredForArchive _site = new();

    public ValueTask InitializeAsync() => _site.InitializeAsync();

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task Segments_under_other_compression_and_encryption_settings_verify_and_without_the_key_that_is_said()
    {
        var identity = await _site.EncryptAsync();
        _site.Set("BACKUP_COMPRESSION=gzip");
        await ArchivedEncryptedAsync();

        var unread = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "verify"));
        Assert.Equal((1, 0), (unread.GetProperty("stored").GetInt32(), unread.GetProperty("unread").GetInt32()));
        var said = (await _site.RunAsync("verify")).Expect(0).Says("BACKUP_DECRYPTION_IDENTITY_FILE");
        Assert.Contains("1 are as they were stored", said.Output, StringComparison.Ordinal);

        _site.Set($"BACKUP_DECRYPTION_IDENTITY_FILE=\"{identity}\"");
        var read = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "verify"));
        Assert.Equal((0, read.GetProperty("files").GetInt32()), (read.GetProperty("unread").GetInt32(), read.GetProperty("read").GetInt32()));
    }

    [Fact]
    public async Task Without_the_key_damage_is_found_and_what_can_not_be_checked_is_no_success()
    {
        await _site.EncryptAsync();
        var shut = await ArchivedEncryptedAsync();
        (await _site.RunAsync("verify")).Expect(0);

        var sum = File.ReadAllText(SumOf(shut));
        LoseTheStoredHash(shut);
        (await _site.RunAsync("verify")).Expect(7).Says("could not be checked").Says("BACKUP_DECRYPTION_IDENTITY_FILE");

        File.WriteAllText(SumOf(shut), sum);
        SetEditor.FlipBit(Path.Combine(_site.Folder, shut));
        (await _site.RunAsync("verify")).Expect(8).Says(shut);
    }

    [Fact]
    public async Task A_segment_that_repair_replaced_can_be_checked_without_the_key_and_so_can_one_that_it_read_with_the_key()
    {
        var identity = await _site.EncryptAsync();
        var damaged = await ArchivedEncryptedAsync();
        var unhashed = await ArchivedEncryptedAsync();
        SetEditor.FlipBit(Path.Combine(_site.Folder, damaged));
        LoseTheStoredHash(unhashed);

        var repaired = (await _site.RunAsync("verify", "--repair")).Expect(7).Says("could not be checked");
        Assert.Contains($"repaired {damaged}", repaired.Output, StringComparison.Ordinal);
        var settings = File.ReadAllLines(_site.Cluster.EnvFile);
        _site.Set($"BACKUP_DECRYPTION_IDENTITY_FILE=\"{identity}\"");
        (await _site.RunAsync("verify", "--repair")).Expect(0);

        File.WriteAllLines(_site.Cluster.EnvFile, settings);
        var checkedWithout = CaredForArchive.ClusterIn(await _site.JsonAsync(0, "verify"));
        Assert.Equal((2, 0), (checkedWithout.GetProperty("stored").GetInt32(), checkedWithout.GetProperty("unread").GetInt32()));
        SetEditor.FlipBit(Path.Combine(_site.Folder, unhashed));
        (await _site.RunAsync("verify")).Expect(8).Says(unhashed);
    }

    private async Task<string> ArchivedEncryptedAsync()
    {
        var segment = await _site.Cluster.SwitchWalAsync();
        await _site.Cluster.ArchivedAsync(segment);
        return segment;
    }

    private string SumOf(string segment) => Path.Combine(_site.Folder, $"{segment}.sha256");

    // As versions before wrote it.
    private void LoseTheStoredHash(string segment) => File.WriteAllText(SumOf(segment), $"{File.ReadAllLines(SumOf(segment))[0]}\n");
}
