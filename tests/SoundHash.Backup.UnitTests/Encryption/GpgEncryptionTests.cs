using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>Encrypting and decrypting with gpg, in both directions with the program itself.</summary>
[Collection(GpgTests.Name)]
public sealed class GpgEncryptionTests(GpgKeyring keyring) : IDisposable
{
    private static readonly string[] Batch = ["--batch", "--no-tty", "--quiet"];
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3_000_001)]
    public async Task The_gpg_program_decrypts_what_we_encrypt(int size)
    {
        var bytes = NewRandom().Noise(size);

        var stored = await EncryptAsync(bytes, "alice");

        Assert.Equal(bytes, await Programs.FilterAsync("gpg", [.. Batch, "--decrypt"], stored));
        Assert.Equal(EncryptionMethod.Gpg, EncryptionFormat.Detect(stored));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(3_000_001)]
    public async Task We_decrypt_what_the_gpg_program_encrypts_also_armoured(int size)
    {
        var bytes = NewRandom().Noise(size);

        foreach (var form in (string[][])[[], ["--armor"], ["--compress-algo", "zlib"]])
        {
            var stored = await Programs.FilterAsync("gpg", [.. Batch, "--trust-model", "always", "-r", "rsa", .. form, "--encrypt"], bytes);

            Assert.Equal(bytes, await DecryptAsync(stored));
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Every_recipient_stands_in_the_message_and_no_other()
    {
        var stored = await EncryptAsync([1, 2, 3], "alice", keyring.Fingerprints["stranger"], "rsa");

        // gpg can't read the stranger's part; what it says of all parts is what counts.
        var packets = (await Programs.RunAsync("gpg", [.. Batch, "--list-packets"], stored)).Text;
        Assert.Equal(3, packets.Split('\n').Count(static l => l.StartsWith(":pubkey enc packet", StringComparison.Ordinal)));
        Assert.Equal([1, 2, 3], await DecryptAsync(stored));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_message_for_somebody_else_is_told_as_a_missing_secret_key()
    {
        var stored = await EncryptAsync(NewRandom().Noise(5_000_000), "stranger");

        var e = await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(stored));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.StartsWith("object x can't be decrypted: gpg failed with exit code 2", e.Message, StringComparison.Ordinal);
        Assert.Contains("No secret key", e.Message, StringComparison.Ordinal);
        Assert.Contains("GNUPGHOME", e.Hint, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_stream_that_is_cut_anywhere_never_ends_as_if_it_were_whole()
    {
        var stored = await EncryptAsync(NewRandom().Noise(150_000), "alice");

        // Before its data (at about byte 100) gpg itself takes a cut message for an empty one and exits with 0.
        foreach (var length in (int[])[0, 1, 20, 50, 90, 100, 8192, stored.Length / 2, stored.Length - 22, stored.Length - 20, stored.Length - 1])
        {
            var e = await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(stored[..length]));
            Assert.Equal(ErrorKind.Encryption, e.Kind);
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_flipped_bit_never_passes_for_other_content()
    {
        var random = NewRandom();
        var bytes = random.Noise(150_000);
        var stored = await EncryptAsync(bytes, "alice");
        var refused = 0;
        // The lengths in the packet headers are at 1, 14, 47 and 97: gpg itself exits with 0 for some of those.
        foreach (var at in (int[])[1, 2, 12, 13, 14, 30, 47, 96, 97, 1000, stored.Length / 2, stored.Length - 1])
        {
            var damaged = (byte[])stored.Clone();
            damaged[at] ^= (byte)(1 << random.Next(8));
            try
            {
                // A few bits mean nothing: which of our keys it was, for example.
                Assert.Equal(bytes, await DecryptAsync(damaged));
            }
            catch (BackupException e) when (e.Kind == ErrorKind.Encryption)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 6, 12);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_secret_key_behind_a_passphrase_is_opened_by_a_file_with_it()
    {
        var bytes = NewRandom().Noise(1000);
        var stored = await EncryptAsync(bytes, "carol");

        Assert.Equal(bytes, await DecryptAsync(stored, _folder.Write("passphrase", $"{GpgKeyring.Passphrase}\n")));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_wrong_passphrase_is_an_error_that_does_not_hold_it()
    {
        var stored = await EncryptAsync([1, 2, 3], "carol");

        var e = await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(stored, _folder.Write("passphrase", "wrong-horse\n")));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.Contains("BACKUP_GPG_PASSPHRASE_FILE", e.Hint, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong-horse", e.ToString(), StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_passphrase_that_nobody_can_be_asked_for_is_an_error_and_no_wait()
    {
        var stored = await EncryptAsync([1, 2, 3], "carol");

        var e = await Assert.ThrowsAsync<BackupException>(() => DecryptAsync(stored));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
    }

    [Fact]
    public void A_missing_passphrase_file_is_told_by_its_path()
    {
        var provider = new GpgEncryption(Children.Launcher, TimeProvider.System, [], _folder["missing"]);

        var e = Assert.Throws<BackupException>(() => provider.Decrypt(new ScriptedStream([]), "object x"));

        Assert.Equal($"passphrase file {_folder["missing"]} does not exist", e.Message);
        Assert.Contains("BACKUP_GPG_PASSPHRASE_FILE", e.Hint, StringComparison.Ordinal);
    }

    private async Task<byte[]> EncryptAsync(byte[] bytes, params string[] recipients)
    {
        var provider = keyring.Provider(recipients);
        await provider.CheckRecipientsAsync(Cancel);
        var target = new MemoryStage();
        await using var stage = provider.Encrypt(target);
        await stage.WriteAllAsync(bytes, () => 70_000);
        return target.Published;
    }

    private static Task<byte[]> DecryptAsync(byte[] stored, string? passphraseFile = null) =>
        new GpgEncryption(
            Children.Launcher,
            TimeProvider.System,
            [],
            passphraseFile).Decrypt(new ScriptedStream(stored), "object x").ReadAllAsync();
}
