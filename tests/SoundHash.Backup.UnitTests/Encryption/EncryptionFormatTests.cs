using System.Text;
using SoundHash.Backup.Encryption;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>The method of encrypted data is told by its first bytes and by nothing else.</summary>
[Collection(GpgTests.Name)]
public sealed class EncryptionFormatTests
{
    [Theory(Timeout = HangLimit)]
    [InlineData("alice")]
    [InlineData("rsa")]
    public async Task What_gpg_writes_is_recognised_in_both_forms(string recipient)
    {
        string[] batch = ["--batch", "--no-tty", "--quiet", "--trust-model", "always", "-r", recipient];

        Assert.Equal(EncryptionMethod.Gpg, Detect(await Programs.FilterAsync("gpg", [.. batch, "--encrypt"], [1, 2, 3])));
        Assert.Equal(EncryptionMethod.Gpg, Detect(await Programs.FilterAsync("gpg", [.. batch, "--armor", "--encrypt"], [1, 2, 3])));
    }

    [Fact(Timeout = HangLimit)]
    public async Task What_gpg_encrypts_with_a_passphrase_is_recognised()
    {
        using var folder = new TempFolder();
        string[] arguments =
        [
            "--batch",
            "--no-tty",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase-file",
            folder.Write("passphrase", "horse"),
            "--symmetric",
        ];

        Assert.Equal(EncryptionMethod.Gpg, Detect(await Programs.FilterAsync("gpg", arguments, [1, 2, 3])));
    }

    [Fact(Timeout = HangLimit)]
    public async Task What_age_writes_is_recognised_in_both_forms()
    {
        Assert.Equal(EncryptionMethod.Age, Detect(await Programs.FilterAsync("age", ["-r", AgeKey.SshRecipient], [1, 2, 3])));
        Assert.Equal(EncryptionMethod.Age, Detect(await Programs.FilterAsync("age", ["-a", "-r", AgeKey.SshRecipient], [1, 2, 3])));
    }

    // Headers of a session key packet as other OpenPGP programs write them (RFC 4880 §4.2): tag, length, version 3.
    [Theory]
    [InlineData("C1 5E 03 43")]
    [InlineData("C1 C1 4C 03 43")]
    [InlineData("C1 FF 00 00 01 0C 03 43")]
    [InlineData("84 5E 03 43")]
    [InlineData("85 01 0C 03 43")]
    [InlineData("86 00 00 01 0C 03 43")]
    [InlineData("8C 0D 04 09")]
    [InlineData("C3 0D 04 09")]
    [InlineData("C3 2E 05 09")]
    public void Every_form_of_a_packet_length_is_recognised(string hex)
    {
        Assert.Equal(
            EncryptionMethod.Gpg,
            Detect([.. Convert.FromHexString(hex.Replace(" ", string.Empty, StringComparison.Ordinal)), .. new byte[32]]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("PGDMP\u0001\u000e")]
    [InlineData("--\n-- PostgreSQL database dump\n--\n")]
    [InlineData("age")]
    [InlineData("age-encryption.org/v")]
    [InlineData("-----BEGIN PGP PUBLIC KEY BLOCK-----")]
    [InlineData("-----BEGIN PGP SIGNED MESSAGE-----")]
    [InlineData("(µ/ý zstd")]
    public void Anything_else_is_not_encrypted(string text)
    {
        Assert.Equal(EncryptionMethod.None, Detect(Encoding.Latin1.GetBytes(text)));
    }

    [Fact]
    public void Few_bytes_of_an_encrypted_file_are_no_reason_to_fail()
    {
        byte[][] beginnings = [[0x84], [0x85, 1], [0x85, 1, 0x0C], [0xC1], [0xC1, 0xC1], [0xC1, 0xFF, 0, 0], [0x86, 0, 0, 1], [0x8C, 0x0D]];

        Assert.All(beginnings, static b => Assert.Equal(EncryptionMethod.None, Detect(b)));
    }

    [Theory]
    [InlineData(EncryptionMethod.None, "")]
    [InlineData(EncryptionMethod.Age, ".age")]
    [InlineData(EncryptionMethod.Gpg, ".gpg")]
    public void Each_method_has_its_suffix(EncryptionMethod method, string suffix)
    {
        Assert.Equal(suffix, EncryptionFormat.Suffix(method));
    }

    private static EncryptionMethod Detect(byte[] bytes) =>
        EncryptionFormat.Detect(bytes.AsSpan(0, Math.Min(bytes.Length, EncryptionFormat.ProbeBytes)));
}
