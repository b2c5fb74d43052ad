using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>Encrypting and decrypting with age, in both directions with the program itself.</summary>
public sealed class AgeEncryptionTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65_536)]
    [InlineData(3_000_001)]
    public async Task The_age_program_decrypts_what_we_encrypt(int size)
    {
        var key = await AgeKey.MakeAsync(_folder);
        var bytes = NewRandom().Noise(size);

        var stored = await EncryptAsync(bytes, key.Recipient);

        Assert.Equal(bytes, await Programs.FilterAsync("age", ["-d", "-i", key.IdentityFile], stored));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(65_536)]
    [InlineData(3_000_001)]
    public async Task We_decrypt_what_the_age_program_encrypts_also_armoured(int size)
    {
        var key = await AgeKey.MakeAsync(_folder);
        var bytes = NewRandom().Noise(size);

        foreach (var form in (string[][])[["-e"], ["-e", "--armor"]])
        {
            var stored = await Programs.FilterAsync("age", [.. form, "-r", key.Recipient], bytes);

            Assert.Equal(bytes, await DecryptAsync(stored, key.IdentityFile));
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Each_of_several_recipients_can_decrypt()
    {
        var (one, other) = (await AgeKey.MakeAsync(_folder, "one"), await AgeKey.MakeAsync(_folder, "other"));
        var bytes = NewRandom().Noise(1000);

        var stored = await EncryptAsync(bytes, one.Recipient, AgeKey.SshRecipient, other.Recipient);

        foreach (var identity in (string[])[one.IdentityFile, other.IdentityFile, SshIdentityFile()])
        {
            Assert.Equal(bytes, await DecryptAsync(stored, identity));
            Assert.Equal(bytes, await Programs.FilterAsync("age", ["-d", "-i", identity], stored));
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task The_identity_that_fits_is_found_among_several()
    {
        var (one, other) = (await AgeKey.MakeAsync(_folder, "one"), await AgeKey.MakeAsync(_folder, "other"));
        var bytes = NewRandom().Noise(1000);

        var stored = await EncryptAsync(bytes, other.Recipient);

        Assert.Equal(bytes, await DecryptAsync(stored, one.IdentityFile, SshIdentityFile(), other.IdentityFile));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_wrong_identity_is_told_with_what_was_read_and_which_identities_were_tried()
    {
        var (one, other) = (await AgeKey.MakeAsync(_folder, "one"), await AgeKey.MakeAsync(_folder, "other"));
        var stored = await EncryptAsync(NewRandom().Noise(5_000_000), one.Recipient);

        var e = await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(stored, other.IdentityFile));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.StartsWith("object x can't be decrypted: age failed with exit code 1", e.Message, StringComparison.Ordinal);
        Assert.Contains("no identity matched any of the recipients", e.Message, StringComparison.Ordinal);
        Assert.Contains(other.IdentityFile, e.Hint, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_stream_that_is_cut_anywhere_never_ends_as_if_it_were_whole()
    {
        var key = await AgeKey.MakeAsync(_folder);
        var stored = await EncryptAsync(NewRandom().Noise(150_000), key.Recipient);
        // Header and nonce come before chunks of 64 KiB with 16 bytes each: cuts at their ends look best.
        var start = stored.Length - 150_000 - (3 * 16);

        foreach (
            var length in (int[])[0, 10, start - 16, start, start + 65_552, start + (2 * 65_552), stored.Length - 16, stored.Length - 1])
        {
            var e = await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(stored[..length], key.IdentityFile));
            Assert.Equal(ErrorKind.Encryption, e.Kind);
            // Nobody is to look for another key when the file is at fault.
            Assert.Equal("use another copy: this one is cut or damaged", e.Hint);
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_flipped_bit_and_bytes_behind_the_end_are_errors()
    {
        var key = await AgeKey.MakeAsync(_folder);
        var random = NewRandom();
        var stored = await EncryptAsync(random.Noise(150_000), key.Recipient);

        foreach (var at in (int[])[5, 120, 1000, stored.Length / 2, stored.Length - 1])
        {
            var damaged = (byte[])stored.Clone();
            damaged[at] ^= (byte)(1 << random.Next(8));
            await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(damaged, key.IdentityFile));
        }

        await Assert.ThrowsAsync<BackupException>(() => DecryptAsync([.. stored, 0], key.IdentityFile));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_source_that_fails_is_reported_as_itself_and_not_as_a_wrong_key()
    {
        var key = await AgeKey.MakeAsync(_folder);
        var stored = await EncryptAsync(NewRandom().Noise(1_000_000), key.Recipient);
        var damage = new BackupException(ErrorKind.Verification, "object x has other bytes than recorded");
        var source = new ScriptedStream(stored, () => 10_000, damage);

        var e = await Assert.ThrowsAsync<BackupException>(
            () => Provider([], [key.IdentityFile]).Decrypt(source, "object x").ReadAllAsync());

        Assert.Same(damage, e);
        Assert.True(source.Disposed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Decryption_can_be_given_up_in_the_middle()
    {
        var key = await AgeKey.MakeAsync(_folder);
        var source = new ScriptedStream(await EncryptAsync(NewRandom().Noise(5_000_000), key.Recipient));

        await using (var plain = Provider([], [key.IdentityFile]).Decrypt(source, "object x"))
        {
            await plain.ReadExactlyAsync(new byte[100_000], Cancel);
        }

        Assert.True(source.Disposed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_file_that_is_no_identity_is_an_error()
    {
        var stored = await EncryptAsync([1, 2, 3], AgeKey.SshRecipient);

        var e = await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(stored, _folder.Write("identity.txt", "no identity at all")));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
    }

    [Fact]
    public void No_identity_is_told_with_the_setting_that_names_one()
    {
        var e = Assert.Throws<BackupException>(() => Provider([], []).Decrypt(new ScriptedStream([]), "object x"));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.Contains("BACKUP_DECRYPTION_IDENTITY_FILE", e.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_identity_file_is_told_by_its_path()
    {
        var e = Assert.Throws<BackupException>(() => Provider([], [_folder["missing"]]).Decrypt(new ScriptedStream([]), "object x"));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.Equal($"identity file {_folder["missing"]} does not exist", e.Message);
    }

    private static AgeEncryption Provider(string[] recipients, string[] identities) => new(Children.Launcher, recipients, identities);

    private static async Task<byte[]> EncryptAsync(byte[] bytes, params string[] recipients)
    {
        var provider = Provider(recipients, []);
        await provider.CheckRecipientsAsync(Cancel);
        var target = new MemoryStage();
        await using var stage = provider.Encrypt(target);
        await stage.WriteAllAsync(bytes, () => 70_000);
        return target.Published;
    }

    private static Task<byte[]> DecryptAsync(byte[] stored, params string[] identities) =>
        Provider([], identities).Decrypt(new ScriptedStream(stored), "object x").ReadAllAsync();

    private string SshIdentityFile()
    {
        var path = _folder.Write("ssh", AgeKey.SshIdentity);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}
