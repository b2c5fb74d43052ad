namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A key pair of age in a file.</summary>
internal sealed record AgeKey(string IdentityFile, string Recipient)
{
    /// <summary>An OpenSSH key pair that was made for these tests; OpenSSH itself need not be installed.</summary>
    public const string SshRecipient = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIX3a3OxvYp8kLyuQU/VqCEBswMKr7a2WD2zBJ6PnH8a";

    public const string SshIdentity =
        """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
        QyNTUxOQAAACCF92tzsb2KfJC8rkFP1aghAbMDCq+2tlg9swSej5x/GgAAAJDs5pmM7OaZ
        jAAAAAtzc2gtZWQyNTUxOQAAACCF92tzsb2KfJC8rkFP1aghAbMDCq+2tlg9swSej5x/Gg
        AAAEA4oOyvUjC1JG2VY3tcE16KtcICW3lrpPszOKB1M0TvjYX3a3OxvYp8kLyuQU/VqCEB
        swMKr7a2WD2zBJ6PnH8aAAAACXVuaXQgdGVzdAECAwQ=
        -----END OPENSSH PRIVATE KEY-----

        """;

    /// <summary>An age identity behind the passphrase "correct horse", as age -p -a wrote it.</summary>
    public const string ProtectedIdentity =
        """
        -----BEGIN AGE ENCRYPTED FILE-----
        YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBJa05uTTU1Mk15SVlpaVds
        T0JvbjN3IDE4CmM2ZTNDb3ZlYzRzUFBVRW83VnNnOHYyNlo3MjI5a0JwMCtOMjZh
        M1ZBMUUKLS0tIGtxaGYzVTVuamwrbSszNjJCVThLUkRlemVFTTdmdUMwTU8wSGhs
        dnNJNHcKDnaxJa1eK3CYFmGps0lkFu8FI7jhN7dpbYSRN60AnDreUpTmQ+tewTEe
        b3ulDNtyxbCqrZ9QscB+n6EkMeE4Y6qtEQAg1B2CZIeG9NUhn1I6o86GlPgWqWy2
        oohmxmhkKGF/th0aAsmadugBqGZN23gbsLuZTL/L3ezT6lntdnRj5zqsMRkIvKkL
        QBGvWjE3v+8Z+kIcyPw938lmTS8Oc8pe1XHQN1BIU4vVjrrHN9LclQhQCs3S7xUQ
        aw34JaNlfvVjnraz1b4dWc1aNmqA48MBzA31nOTo
        -----END AGE ENCRYPTED FILE-----

        """;

    public static async Task<AgeKey> MakeAsync(TempFolder folder, string name = "identity.txt")
    {
        (await Programs.RunAsync("age-keygen", ["-o", folder[name]])).Expect(0);
        return new AgeKey(folder[name], (await Programs.RunAsync("age-keygen", ["-y", folder[name]])).Expect(0).Text.Trim());
    }
}
