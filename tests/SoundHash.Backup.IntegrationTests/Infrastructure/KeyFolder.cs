namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A folder with somebody's keys: a GNUPGHOME, or an age identity.</summary>
public static class KeyFolder
{
    /// <summary>The age identity in a folder.</summary>
    public static string IdentityIn(string folder) => Path.Combine(folder, "identity.txt");

    /// <summary>Makes a key in a folder that is there, and returns what encrypts to it.</summary>
    public static async Task<string> MakeAsync(string method, string folder)
    {
        if (method == "age")
        {
            await Command.ShellAsync($"age-keygen -o '{IdentityIn(folder)}'");
            return (await Command.ShellAsync($"age-keygen -y '{IdentityIn(folder)}'")).Output.Trim();
        }

        var whose = Path.GetFileName(folder);
        var made = await GpgHome.MakeAsync(folder, $"{whose} <{whose}@example.org>");
        // An agent of the tester's own can't serve PostgreSQL's user.
        await Command.ShellAsync("gpgconf --kill all", new Dictionary<string, string?> { ["GNUPGHOME"] = folder });
        return made.Fingerprint;
    }

    /// <summary>Settings that encrypt to a key, and decrypt with what is in its folder.</summary>
    public static string[] Settings(string method, string folder, string key) =>
    [
        "BACKUP_ENCRYPTION_ENABLED=true", $"BACKUP_ENCRYPTION_METHOD={method}", $"BACKUP_ENCRYPTION_KEY={key}",
        .. method == "age" ? [$"BACKUP_DECRYPTION_IDENTITY_FILE={IdentityIn(folder)}"] : Array.Empty<string>(),
    ];

    /// <summary>Ends what gpg left running for PostgreSQL's user.</summary>
    public static Task EndAgentAsync(string folder) => ArchivingCluster.ShellInAsync("/", $"GNUPGHOME='{folder}' gpgconf --kill all");
}
