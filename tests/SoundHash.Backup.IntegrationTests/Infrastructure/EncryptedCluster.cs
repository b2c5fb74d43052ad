namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// A lost cluster whose set and WAL are encrypted. Beside its keys there are those of a foreigner, to whom nothing was encrypted,
/// and a place without keys; each is a GNUPGHOME, or has an age identity.
/// </summary>
public abstract class EncryptedCluster(string method) : LostCluster
{
    private const string Identity = "BACKUP_DECRYPTION_IDENTITY_FILE";
    private const string Own = "own", Foreign = "foreign", None = "none";

    private readonly TempFolder _keys = new("keys");

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string?>? ServerEnvironment => HomeOf(Own);

    /// <summary>Restores as PostgreSQL's user with keys of somebody: own, foreign or none.</summary>
    public async Task<CommandResult> RestoreAsync(string keys, RestoredServer place, params string[] arguments)
    {
        var settings = _keys[$"{keys}.env"];
        var lines = (await File.ReadAllLinesAsync(EnvFile)).Where(static l => !l.StartsWith(Identity, StringComparison.Ordinal));
        await File.WriteAllLinesAsync(settings, method == "age" && keys != None ? lines.Append($"{Identity}={_keys[keys]}/identity.txt") : lines);
        await GiveToPostgresAsync(settings);
        return await RunWithAsync(HomeOf(keys), Host, ["restore", "--target-dir", place.Data, "--env-file", settings, .. arguments]);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        foreach (var keys in (string[])[Own, Foreign, None])
        {
            await ShellInAsync("/", $"GNUPGHOME='{_keys[keys]}' gpgconf --kill all");
        }

        _keys.Dispose();
        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    protected override async Task<string[]> MoreSettingsAsync()
    {
        await Command.ShellAsync($"mkdir -m 700 '{_keys[Own]}' '{_keys[Foreign]}' '{_keys[None]}'");
        var key = await MakeKeyAsync(Own);
        await MakeKeyAsync(Foreign);
        await GiveToPostgresAsync(_keys.Path);
        return
        [
            "BACKUP_ENCRYPTION_ENABLED=true", $"BACKUP_ENCRYPTION_METHOD={method}", $"BACKUP_ENCRYPTION_KEY={key}",
            .. method == "age" ? [$"{Identity}={_keys[Own]}/identity.txt"] : Array.Empty<string>(),
        ];
    }

    private async Task<string> MakeKeyAsync(string whose)
    {
        if (method == "age")
        {
            await Command.ShellAsync($"age-keygen -o '{_keys[whose]}/identity.txt'");
            return (await Command.ShellAsync($"age-keygen -y '{_keys[whose]}/identity.txt'")).Output.Trim();
        }

        var made = await GpgHome.MakeAsync(_keys[whose], $"{whose} <{whose}@example.org>");
        // An agent of the tester's own can't serve PostgreSQL's user.
        await Command.ShellAsync("gpgconf --kill all", HomeOf(whose));
        return made.Fingerprint;
    }

    private Dictionary<string, string?> HomeOf(string whose) => new() { ["GNUPGHOME"] = _keys[whose] };
}

/// <summary>One whose set and WAL age encrypted.</summary>
public sealed class AgeCluster() : EncryptedCluster("age");

/// <summary>One whose set and WAL gpg encrypted.</summary>
public sealed class GpgCluster() : EncryptedCluster("gpg");
