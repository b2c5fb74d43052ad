using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>Each configured recipient is exactly one usable key.</summary>
[Collection(GpgTests.Name)]
public sealed class GpgRecipientTests(GpgKeyring keyring)
{
    [Fact(Timeout = HangLimit)]
    public async Task Every_way_to_name_a_key_is_recorded_as_its_fingerprint()
    {
        var alice = keyring.Fingerprints["alice"];

        foreach (var name in (string[])[alice, alice[^16..], $"0x{alice[^16..]}", "alice", "alice@example.org", "<alice@example.org>", "=alice <alice@example.org>"])
        {
            Assert.Equal([alice], await keyring.Provider(name).CheckRecipientsAsync(Cancel));
        }

        Assert.Equal([keyring.Fingerprints["rsa"], alice], await keyring.Provider("rsa", "alice").CheckRecipientsAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_name_that_fits_two_keys_is_refused_with_the_fingerprints_of_both()
    {
        var e = await RefusedAsync("twin@example.org");

        Assert.Contains("fits 2 gpg keys", e.Message, StringComparison.Ordinal);
        Assert.Contains(keyring.Fingerprints["twin one"], e.Message, StringComparison.Ordinal);
        Assert.Contains(keyring.Fingerprints["twin two"], e.Message, StringComparison.Ordinal);
        Assert.Equal(
            [keyring.Fingerprints["twin two"]],
            await keyring.Provider(keyring.Fingerprints["twin two"]).CheckRecipientsAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task An_expired_key_is_refused_with_the_day()
    {
        var e = await RefusedAsync("expired");

        Assert.Contains(keyring.Fingerprints["expired"], e.Message, StringComparison.Ordinal);
        Assert.Contains("expired, expires 2020-01-31", e.Message, StringComparison.Ordinal);
        Assert.Contains("--quick-set-expire", e.Hint, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_key_that_expires_later_is_good_until_then()
    {
        string[] recipients = ["ending"];
        var soon = new GpgEncryption(Children.Launcher, TimeProvider.System, recipients, null);
        var later = new GpgEncryption(Children.Launcher, new FakeTime(TimeProvider.System.GetUtcNow().AddYears(3)), recipients, null);

        Assert.Equal([keyring.Fingerprints["ending"]], await soon.CheckRecipientsAsync(Cancel));
        await Assert.ThrowsAsync<BackupException>(() => later.CheckRecipientsAsync(Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_revoked_key_is_refused()
    {
        var e = await RefusedAsync("revoked");

        Assert.Contains($"{keyring.Fingerprints["revoked"]} (revoked)", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_key_that_can_only_sign_is_refused()
    {
        var e = await RefusedAsync("signer");

        Assert.Contains($"{keyring.Fingerprints["signer"]} (without a usable key for encryption)", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task An_unknown_key_is_refused_with_how_to_import_it()
    {
        var e = await RefusedAsync("nobody@example.org");

        Assert.Equal("gpg knows no key 'nobody@example.org'", e.Message);
        Assert.Contains("gpg --import", e.Hint, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_recipient_is_never_taken_for_an_option_of_gpg()
    {
        var e = await RefusedAsync("--version");

        Assert.Equal("gpg knows no key '--version'", e.Message);
    }

    [Fact(Timeout = HangLimit)]
    public async Task One_bad_recipient_among_good_ones_is_refused()
    {
        await RefusedAsync("alice", "expired", "bob");
    }

    [Fact]
    public async Task No_recipient_is_refused()
    {
        await RefusedAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Without_checked_recipients_nothing_is_written_in_the_clear()
    {
        var target = new MemoryStage();

        var e = await Assert.ThrowsAsync<BackupException>(async () =>
        {
            await using var stage = keyring.Provider("alice").Encrypt(target);
            await stage.WriteAllAsync(NewRandom().Prose(5_000_000), () => 70_000);
        });

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.False(target.Completed);
    }

    private async Task<BackupException> RefusedAsync(params string[] recipients)
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => keyring.Provider(recipients).CheckRecipientsAsync(Cancel));
        Assert.Equal(ErrorKind.Encryption, e.Kind);
        return e;
    }
}
