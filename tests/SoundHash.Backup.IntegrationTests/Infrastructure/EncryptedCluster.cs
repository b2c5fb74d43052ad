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
        await File.WriteAllLinesAsync(settings, method == "age" && keys != None ? lines.Append($"{Identity}={KeyFolder.IdentityIn(_keys[keys])}") : lines);
        await GiveToPostgresAsync(settings);
        return await RunWithAsync(HomeOf(keys), Host, ["restore", "--target-dir", place.Data, "--env-file", settings, .. arguments]);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        foreach (var keys in (string[])[Own, Foreign, None])
        {
            await KeyFolder.EndAgentAsync(_keys[keys]);
        }

        _keys.Dispose();
        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    protected override async Task<string[]> MoreSettingsAsync()
    {
        await Command.ShellAsync($"mkdir -m 700 '{_keys[Own]}' '{_keys[Foreign]}' '{_keys[None]}'");
        var key = await KeyFolder.MakeAsync(method, _keys[Own]);
        await KeyFolder.MakeAsync(method, _keys[Foreign]);
        await GiveToPostgresAsync(_keys.Path);
        return KeyFolder.Settings(method, _keys[Own], key);
    }

    private Dictionary<string, string?> HomeOf(string whose) => new() { ["GNUPGHOME"] = _keys[whose] };
}

/// <summary>One whose set and WAL age encrypted.</summary>
public sealed class AgeCluster() : EncryptedCluster("age");

/// <summary>One whose set and WAL gpg encrypted.</summary>
public sealed class GpgCluster() : EncryptedCluster("gpg");
