using SoundHash.Backup.Encryption;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>gpg --with-colons --list-keys, as it is documented in GnuPG's doc/DETAILS.</summary>
public sealed class GpgKeyListingTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void The_fingerprint_is_that_of_the_primary_key()
    {
        var key = Assert.Single(GpgKeyListing.Parse(
            """
            tru::1:1700000000:0:3:1:5
            pub:u:255:22:AAAAAAAAAAAAAAAA:1700000000:::u:::scESC:::::ed25519:::0:
            fpr:::::::::1111111111111111111111111111AAAAAAAAAAAA:
            uid:u::::1700000000::HASH::Alice <alice@example.org>::::::::::0:
            sub:u:255:18:BBBBBBBBBBBBBBBB:1700000000::::::e:::::cv25519::
            fpr:::::::::2222222222222222222222222222BBBBBBBBBBBB:
            """));

        Assert.Equal(new GpgKey("1111111111111111111111111111AAAAAAAAAAAA", "valid", CanEncrypt: true, Expires: null), key);
        Assert.True(key.CanEncryptAt(Now));
    }

    [Theory]
    [InlineData("e", "scESC", "expired")]
    [InlineData("r", "scESC", "revoked")]
    [InlineData("d", "scESC", "disabled")]
    [InlineData("i", "scESC", "invalid")]
    [InlineData("n", "scESC", "invalid")]
    [InlineData("u", "scSC", "without a usable key for encryption")]
    [InlineData("u", "eSC", "without a usable key for encryption")]
    [InlineData("u", "scESCD", "without a usable key for encryption")]
    public void A_key_that_can_not_be_used_says_why(string validity, string capabilities, string state)
    {
        var key = Assert.Single(GpgKeyListing.Parse(
            $"pub:{validity}:255:22:AAAAAAAAAAAAAAAA:1700000000:::u:::{capabilities}:::::ed25519:::0:\nfpr:::::::::FFFF:\n"));

        Assert.Equal(state, key.State);
        Assert.False(key.CanEncryptAt(Now));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    public void A_key_can_be_used_until_it_expires(int secondsLeft, bool usable)
    {
        var expires = Now.AddSeconds(secondsLeft).ToUnixTimeSeconds();

        var key = Assert.Single(
            GpgKeyListing.Parse($"pub:u:255:22:AA:1700000000:{expires}::u:::scESC:::::ed25519:::0:\nfpr:::::::::FFFF:\n"));

        Assert.Equal(usable, key.CanEncryptAt(Now));
    }

    [Theory]
    [InlineData("")]
    [InlineData("pub:u:255")]
    [InlineData("fpr:::::::::FFFF:")]
    [InlineData("gpg: error reading key: No public key\n")]
    public void What_is_no_key_is_none(string listing)
    {
        Assert.Empty(GpgKeyListing.Parse(listing));
    }
}
