using SoundHash.Backup.Encryption;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>
/// A gpg home of its own with keys of every sort. It is the process's GNUPGHOME, so that what is tested finds it as a
/// user's; all tests that use gpg share it and change nothing in it.
/// </summary>
public sealed class GpgKeyring : IAsyncLifetime, IDisposable
{
    /// <summary>The passphrase of Carol's key.</summary>
    public const string Passphrase = "correct horse, \"battery\" $taple";

    private readonly TempFolder _home = new();
    private readonly TempFolder _elsewhere = new();

    /// <summary>Fingerprints by name.</summary>
    public IReadOnlyDictionary<string, string> Fingerprints { get; private set; } = new Dictionary<string, string>();

    public async ValueTask InitializeAsync()
    {
        Environment.SetEnvironmentVariable("GNUPGHOME", _home.Path);
        // No passphrase is remembered between tests, and none is asked for on the tester's screen.
        _home.Write("gpg-agent.conf", "default-cache-ttl 0\nmax-cache-ttl 0\npinentry-program /bin/false\n");
        var fingerprints = new Dictionary<string, string>
        {
            ["alice"] = await MakeKeyAsync("alice"),
            ["bob"] = await MakeKeyAsync("bob"),
            ["rsa"] = await MakeKeyAsync("rsa", algorithm: "rsa2048", usage: "sign,encr"),
            ["carol"] = await MakeKeyAsync("carol", passphrase: Passphrase),
            ["twin one"] = await MakeKeyAsync("twin", comment: "one"),
            ["twin two"] = await MakeKeyAsync("twin", comment: "two"),
            ["signer"] = await MakeKeyAsync("signer", algorithm: "ed25519", usage: "sign"),
            ["ending"] = await MakeKeyAsync("ending", expire: "2y"),
            ["expired"] = await MakeKeyAsync("expired", expire: "1m", now: "20200101T000000!"),
            ["revoked"] = await MakeKeyAsync("revoked"),
        };
        var revocation = await File.ReadAllTextAsync(_home[$"openpgp-revocs.d/{fingerprints["revoked"]}.rev"]);
        await GpgAsync(["--import", _home.Write("revocation", revocation.Replace(":-----BEGIN", "-----BEGIN", StringComparison.Ordinal))]);

        // A key whose secret half is on another machine.
        (string, string) elsewhere = ("GNUPGHOME", _elsewhere.Path);
        fingerprints["stranger"] = await MakeKeyAsync("stranger", environment: elsewhere);
        await GpgAsync(["--export", "--output", _home["stranger"], "stranger"], elsewhere);
        await GpgAsync(["--import", _home["stranger"]]);
        Fingerprints = fingerprints;
    }

    public async ValueTask DisposeAsync()
    {
        await Programs.RunAsync("gpgconf", ["--kill", "all"]);
        await Programs.RunAsync("gpgconf", ["--kill", "all"], null, ("GNUPGHOME", _elsewhere.Path));
        Environment.SetEnvironmentVariable("GNUPGHOME", null);
        Dispose();
    }

    public void Dispose()
    {
        _home.Dispose();
        _elsewhere.Dispose();
    }

    /// <summary>A provider that finds its keys here.</summary>
    internal GpgEncryption Provider(params string[] recipients) => new(Children.Launcher, TimeProvider.System, recipients, null);

    private static async Task<string> MakeKeyAsync(
        string name, string comment = "", string algorithm = "future-default", string usage = "default", string expire = "never",
        string passphrase = "", string? now = null, (string, string)? environment = null)
    {
        var user = $"{name}{(comment.Length > 0 ? $" ({comment})" : string.Empty)} <{name}@example.org>";
        List<string> arguments = ["--pinentry-mode", "loopback", "--passphrase", passphrase, "--status-fd", "1"];
        if (now is not null)
        {
            arguments.AddRange(["--faked-system-time", now]);
        }

        var said = await GpgAsync([.. arguments, "--quick-generate-key", user, algorithm, usage, expire], environment);
        return said.Split('\n').Single(static l => l.StartsWith("[GNUPG:] KEY_CREATED", StringComparison.Ordinal)).Split(' ')[3];
    }

    private static async Task<string> GpgAsync(IEnumerable<string> arguments, (string, string)? environment = null) =>
        (await Programs.RunAsync(
            "gpg",
            ["--batch", "--no-tty", "--yes", .. arguments],
            null,
            environment is { } e ? [e] : [])).Expect(0).Text;
}

/// <summary>Tests that share the keyring.</summary>
[CollectionDefinition(Name)]
public sealed class GpgTests : ICollectionFixture<GpgKeyring>
{
    public const string Name = "gpg";
}
