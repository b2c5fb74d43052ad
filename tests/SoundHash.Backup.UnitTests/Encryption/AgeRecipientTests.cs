using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>What may be a recipient of age, and what is recorded of it.</summary>
public sealed class AgeRecipientTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = HangLimit)]
    public async Task Keys_are_recorded_without_their_comments()
    {
        var key = await AgeKey.MakeAsync(_folder);

        Assert.Equal([key.Recipient, AgeKey.SshRecipient], await CheckAsync(key.Recipient, $"{AgeKey.SshRecipient} root@backup host"));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_recipients_file_counts_for_every_key_in_it()
    {
        var (one, other) = (await AgeKey.MakeAsync(_folder, "one"), await AgeKey.MakeAsync(_folder, "other"));
        var file = _folder.Write("recipients.txt", $"# operations\n{one.Recipient}\n\n# the safe\n{AgeKey.SshRecipient} safe\n");

        Assert.Equal([other.Recipient, one.Recipient, AgeKey.SshRecipient], await CheckAsync(other.Recipient, file));

        var target = new MemoryStage();
        await using var stage = Provider(file).Encrypt(target);
        await stage.WriteAllAsync([1, 2, 3]);
        Assert.Equal([1, 2, 3], await Programs.FilterAsync("age", ["-d", "-i", one.IdentityFile], target.Published));
    }

    [Fact]
    public async Task No_recipient_is_told_with_what_stands_in_for_a_passphrase()
    {
        var e = await RefusedAsync();

        Assert.Contains("a passphrase can't be used here", e.Message, StringComparison.Ordinal);
        Assert.Contains("age-keygen", e.Hint, StringComparison.Ordinal);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq")]
    [InlineData("age1")]
    [InlineData("ssh-ed25519 AAAA")]
    [InlineData("ssh-dss AAAAB3NzaC1kc3MAAACBAP")]
    public async Task A_malformed_key_is_refused_before_anything_is_backed_up(string recipient)
    {
        var e = await RefusedAsync(recipient);

        Assert.StartsWith("age can't encrypt to the given recipients", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Neither_key_nor_file_is_told_as_such()
    {
        var e = await RefusedAsync(_folder["missing.txt"]);

        Assert.Contains($"'{_folder["missing.txt"]}' is neither a public key", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task An_empty_recipients_file_is_no_recipient()
    {
        await RefusedAsync(_folder.Write("recipients.txt", "# nobody yet\n"));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_secret_key_in_place_of_a_recipient_is_refused_and_not_repeated()
    {
        var key = await AgeKey.MakeAsync(_folder);
        var secret = (await File.ReadAllLinesAsync(key.IdentityFile, Cancel)).Single(
            static l => l.StartsWith("AGE-SECRET-KEY-", StringComparison.Ordinal));

        foreach (var form in (string[])[secret, secret.ToLowerInvariant()])
        {
            var e = await RefusedAsync(form);

            Assert.Contains("holds an age secret key", e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(secret[20..], e.ToString(), StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task An_identity_file_in_place_of_a_recipients_file_is_refused_and_not_repeated()
    {
        var key = await AgeKey.MakeAsync(_folder);
        var secret = (await File.ReadAllLinesAsync(key.IdentityFile, Cancel)).Single(
            static l => l.StartsWith("AGE-SECRET-KEY-", StringComparison.Ordinal));

        var e = await RefusedAsync(key.IdentityFile);

        Assert.DoesNotContain(secret[20..], e.ToString(), StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", true)]
    [InlineData("ssh-rsa AAAA", true)]
    [InlineData("AGE-SECRET-KEY-1", true)]
    [InlineData("recipients.txt", false)]
    [InlineData("/etc/age1/recipients", false)]
    public void Keys_are_told_from_files(string recipient, bool isKey)
    {
        Assert.Equal(isKey, AgeEncryption.IsKey(recipient));
    }

    private static AgeEncryption Provider(params string[] recipients) => new(Children.Launcher, recipients, []);

    private static Task<IReadOnlyList<string>> CheckAsync(params string[] recipients) => Provider(recipients).CheckRecipientsAsync(Cancel);

    private static async Task<BackupException> RefusedAsync(params string[] recipients)
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => CheckAsync(recipients));
        Assert.Equal(ErrorKind.Encryption, e.Kind);
        return e;
    }
}
