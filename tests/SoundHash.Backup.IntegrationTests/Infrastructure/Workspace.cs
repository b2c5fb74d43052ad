using System.Diagnostics;
using System.Text.Json;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// What a user has: a folder with a .env file, a repository, keys, and the built executable. Everything runs through
/// the executable, in an environment without the tester's own settings.
/// </summary>
public sealed class Workspace : IDisposable
{
    private readonly TempFolder _folder = new("work");
    private readonly Dictionary<string, string> _settings;

    public Workspace(PostgresCluster cluster, string database)
    {
        Cluster = cluster;
        _settings = new Dictionary<string, string>
        {
            ["DATABASE_HOST"] = cluster.Host,
            ["DATABASE_PORT"] = cluster.Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
            ["DATABASE_USER"] = "postgres",
            ["DATABASE_NAME"] = database,
            ["BACKUP_DIR"] = "./backups",
        };
    }

    public static string Executable { get; } = FindExecutable();

    public PostgresCluster Cluster { get; }

    public string Folder => _folder.Path;

    public string Repository => _folder["backups"];

    public string IdentityFile => _folder["identity.txt"];

    /// <summary>Variables of the environment, over the .env file; null removes one.</summary>
    public Dictionary<string, string?> Environment { get; } = [];

    /// <summary>Sets a line of the .env file.</summary>
    public Workspace Set(string name, string value)
    {
        _settings[name] = value;
        return this;
    }

    public Workspace Unset(string name)
    {
        _settings.Remove(name);
        return this;
    }

    /// <summary>Turns on encryption with a new age key, and returns its public half.</summary>
    public async Task<string> UseAgeAsync()
    {
        await Command.ShellAsync($"age-keygen -o '{IdentityFile}'");
        var recipient = (await Command.ShellAsync($"age-keygen -y '{IdentityFile}'")).Output.Trim();
        Set("BACKUP_ENCRYPTION_ENABLED", "true").Set("BACKUP_ENCRYPTION_METHOD", "age").Set("BACKUP_ENCRYPTION_KEY", recipient);
        Set("BACKUP_DECRYPTION_IDENTITY_FILE", IdentityFile);
        return recipient;
    }

    /// <summary>Runs shbackup to its end.</summary>
    public async Task<CommandResult> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        process.StandardInput.Close();
        return await Command.FinishAsync(process);
    }

    /// <summary>Starts shbackup, for tests that meddle with it.</summary>
    public Process Start(params string[] arguments)
    {
        WriteSettings();
        // Whoever runs the tests may ignore signals (nohup, a background job), which children inherit.
        return Command.Start("/usr/bin/env", ["--default-signal", Executable, .. arguments], CleanEnvironment(), Folder);
    }

    /// <summary>Starts a shell's command in the folder, for which <c>$SHBACKUP</c> is the executable.</summary>
    public Process StartShell(string command)
    {
        WriteSettings();
        var environment = CleanEnvironment();
        environment["SHBACKUP"] = Executable;
        return Command.Start("/bin/sh", ["-c", command], environment, Folder);
    }

    /// <summary>Runs shbackup with --json, expects an exit code and returns the document.</summary>
    public async Task<JsonElement> JsonAsync(int exitCode, params string[] arguments)
    {
        var result = (await RunAsync([.. arguments, "--json"])).Expect(exitCode);
        using var document = JsonDocument.Parse(result.Output);
        return document.RootElement.Clone();
    }

    /// <summary>Backs up the configured database, or what the arguments say, and returns the id of the only set.</summary>
    public async Task<string> BackupAsync(params string[] arguments)
    {
        var document = await JsonAsync(0, ["backup", .. arguments]);
        return document.GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!;
    }

    /// <summary>The folder of a set.</summary>
    public string SetFolder(string id) => Path.Combine(Repository, "sets", id);

    /// <summary>The environment in which shbackup runs: the tester's without settings of ours, plus <see cref="Environment"/>.</summary>
    public Dictionary<string, string?> CleanEnvironment()
    {
        var environment = new Dictionary<string, string?>();
        foreach (System.Collections.DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
        {
            var name = (string)entry.Key;
            if (name.StartsWith("PG", StringComparison.Ordinal) || name.StartsWith(
                "BACKUP_",
                StringComparison.Ordinal) || name.StartsWith("DATABASE_", StringComparison.Ordinal))
            {
                environment[name] = null;
            }
        }

        foreach (var (name, value) in Environment)
        {
            environment[name] = value;
        }

        return environment;
    }

    public void Dispose() => _folder.Dispose();

    // At once, and only when something changed: others that were started may be reading it.
    private void WriteSettings()
    {
        var text = string.Concat(_settings.Select(static s => $"{s.Key}={s.Value}\n"));
        if (!File.Exists(_folder[".env"]) || File.ReadAllText(_folder[".env"]) != text)
        {
            File.WriteAllText(_folder[".env.new"], text);
            File.Move(_folder[".env.new"], _folder[".env"], overwrite: true);
        }
    }

    private static string FindExecutable()
    {
        if (System.Environment.GetEnvironmentVariable("SHBACKUP_EXECUTABLE") is { Length: > 0 } given)
        {
            return given;
        }

        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var candidate = Path.Combine(folder, "artifacts", "shbackup", "shbackup");
            if (File.Exists(candidate))
            {
                return candidate;
            }
        }

        throw new FileNotFoundException("the published executable artifacts/shbackup/shbackup is missing; ./test.sh publishes it");
    }
}
