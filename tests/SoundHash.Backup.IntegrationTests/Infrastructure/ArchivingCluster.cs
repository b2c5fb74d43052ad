using System.Diagnostics;
using System.Globalization;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// A cluster that is ready to archive, with a folder beside it that belongs to PostgreSQL's user: settings, archive and spool,
/// as an administrator sets them up. Its name has a space, a quote and a percent sign, which every command has to bear.
/// </summary>
public class ArchivingCluster : PostgresCluster
{
    /// <inheritdoc/>
    public override string Settings => "archive_mode = on\nwal_keep_size = 1GB\nmax_wal_senders = 5\n";

    /// <summary>The folder of settings, archive and spool.</summary>
    public string Site => Path.Combine(Host, "it's 100% here");

    public string EnvFile => Path.Combine(Site, ".env");

    public virtual string Archive => Path.Combine(Site, "wal");

    public string Spool => Path.Combine(Site, "spool");

    /// <summary>The archive of this cluster's WAL.</summary>
    public async Task<string> ArchiveOfClusterAsync() =>
        Path.Combine(Archive, (await TextAsync("postgres", "SELECT system_identifier::text FROM pg_control_system()"))!);

    /// <summary>Makes the folder, has PostgreSQL set up by generate-config, and waits until it archives.</summary>
    public async Task StartArchivingAsync(params string[] settings)
    {
        Directory.CreateDirectory(Site);
        string[] all =
        [
            $"DATABASE_HOST={Host}", "DATABASE_USER=postgres", "DATABASE_NAME=postgres",
            $"BACKUP_DIR=\"{Site}/backups\"", $"BACKUP_WAL_DIR=\"{Archive}\"", $"BACKUP_SPOOL_DIR=\"{Spool}\"", .. settings,
        ];
        await File.WriteAllLinesAsync(EnvFile, all);
        await GiveToPostgresAsync(Site);
        (await RunAsync("wal-archive", "generate-config", "--apply", "--env-file", EnvFile)).Expect(0);
    }

    /// <summary>Runs shbackup as PostgreSQL's user, in the data directory as PostgreSQL runs its commands.</summary>
    public Task<CommandResult> RunAsync(params string[] arguments) => RunWithAsync(ServerEnvironment, DataDirectory, arguments);

    /// <summary>Runs shbackup as PostgreSQL's user in a directory.</summary>
    public static Task<CommandResult> RunInAsync(string directory, params string[] arguments) => RunWithAsync(null, directory, arguments);

    /// <summary>As <see cref="RunInAsync"/>, with more variables.</summary>
    public static async Task<CommandResult> RunWithAsync(IReadOnlyDictionary<string, string?>? environment, string directory, params string[] arguments)
    {
        string[] command = [.. AsPostgres, Workspace.Executable, .. arguments];
        var all = Clean.Concat(environment ?? new Dictionary<string, string?>()).ToDictionary();
        return await Command.RunAsync("/usr/bin/env", ["--default-signal", .. command], all, directory);
    }

    /// <summary>Runs a shell's command as PostgreSQL's user in a directory.</summary>
    public static Task<CommandResult> ShellInAsync(string directory, string command)
    {
        string[] all = ["--default-signal", .. AsPostgres, "/bin/sh", "-c", command];
        return Command.RunAsync("/usr/bin/env", all, Clean, directory);
    }

    /// <summary>Starts a program as PostgreSQL's user in a directory, with further variables of the environment.</summary>
    public static Process StartIn(string directory, string[] environment, string[] command)
    {
        string[] all = ["--default-signal", .. environment, .. AsPostgres, .. command];
        return Command.Start("/usr/bin/env", all, Clean, directory);
    }

    /// <summary>Runs shbackup as PostgreSQL does and kills it after a time, unless it has ended before.</summary>
    public Task<CommandResult> RunAndKillAsync(TimeSpan after, params string[] arguments) => Command.RunAsync(
        "/usr/bin/timeout",
        ["-s", "KILL", string.Create(CultureInfo.InvariantCulture, $"{after.TotalSeconds}"), .. AsPostgres, Workspace.Executable, .. arguments],
        Clean,
        DataDirectory);

    /// <summary>Ends the current segment and returns its name.</summary>
    public async Task<string> SwitchWalAsync()
    {
        await ExecuteAsync("postgres", "CREATE TABLE IF NOT EXISTS tick (t timestamptz); INSERT INTO tick SELECT clock_timestamp()");
        return (await TextAsync("postgres", "SELECT pg_walfile_name(pg_switch_wal())"))!;
    }

    /// <summary>Waits until PostgreSQL says that a segment is archived.</summary>
    public Task ArchivedAsync(string segment) => Eventually.TrueAsync(
        async () => string.CompareOrdinal(await TextAsync("postgres", "SELECT last_archived_wal FROM pg_stat_archiver"), segment) >= 0,
        $"{segment} is archived");

    /// <summary>Gives the server another archive_command, which its archiver reads when it likes.</summary>
    public Task SetArchiveCommandAsync(string command) => ExecuteAsync(
        "postgres", $"ALTER SYSTEM SET archive_command = '{command.Replace("'", "''", StringComparison.Ordinal)}'; SELECT pg_reload_conf()");

    /// <summary>Ends one segment after the other, each when that before is archived, until something has come to pass.</summary>
    public async Task SwitchUntilAsync(Func<bool> condition, string what)
    {
        var segment = string.Empty;
        await Eventually.TrueAsync(
            async () =>
            {
                // Null, which is before every text, until the first segment of this cluster is archived.
                var archived = await TextAsync("postgres", "SELECT last_archived_wal FROM pg_stat_archiver") ?? string.Empty;
                if (!condition() && string.CompareOrdinal(archived, segment) >= 0)
                {
                    segment = await SwitchWalAsync();
                }

                return condition();
            },
            what);
    }

    /// <summary>Gives a path to PostgreSQL's user where we are root.</summary>
    public static async Task GiveToPostgresAsync(string path)
    {
        if (Environment.UserName == "root")
        {
            await Command.RunAsync("/bin/chown", "-R", "postgres:", path);
        }
    }

    private static string[] AsPostgres =>
        Environment.UserName == "root" ? ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] : [];

    // PostgreSQL's environment is no login shell, and none of the tester's.
    private static Dictionary<string, string?> Clean => System.Environment.GetEnvironmentVariables().Keys.Cast<string>()
        .Where(static n => n.StartsWith("PG", StringComparison.Ordinal) || n.StartsWith("BACKUP_", StringComparison.Ordinal)
            || n.StartsWith("DATABASE_", StringComparison.Ordinal))
        .ToDictionary(static n => n, static _ => (string?)null);
}

/// <summary>A cluster that archives from its first moment.</summary>
public sealed class ArchivedCluster : ArchivingCluster
{
    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await StartArchivingAsync();
    }
}
