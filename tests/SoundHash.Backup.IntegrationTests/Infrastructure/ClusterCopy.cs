using Npgsql;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A base backup of a cluster that a test recovers as a second server, gone with its folder when the test is over.</summary>
public sealed class ClusterCopy : IAsyncDisposable
{
    private static readonly string Bin = PostgresPrograms.Directory;
    private static readonly string Drop = Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;
    private readonly TempFolder _folder = new("copy");

    private ClusterCopy()
    {
    }

    public string DataDirectory => _folder["data"];

    /// <summary>Takes the base backup.</summary>
    public static async Task<ClusterCopy> OfAsync(ArchivingCluster cluster)
    {
        var copy = new ClusterCopy();
        await ArchivingCluster.GiveToPostgresAsync(copy._folder.Path);
        await Command.ShellAsync(
            $"{Drop} {Bin}/pg_basebackup -h '{cluster.Host}' -U postgres -D '{copy.DataDirectory}' -X none --checkpoint=fast 2>/dev/null", directory: "/");
        return copy;
    }

    /// <summary>Starts it with the restore_command that generate-config prints for it, and waits until it has recovered and accepts writes.</summary>
    public async Task RecoverAsync(ArchivingCluster cluster, params string[] settings)
    {
        string[] lines =
        [
            "archive_mode = off", $"unix_socket_directories = '{_folder.Path}'", await RestoreCommandAsync(cluster), .. settings,
        ];
        await File.AppendAllLinesAsync(Path.Combine(DataDirectory, "postgresql.auto.conf"), lines);
        await File.WriteAllTextAsync(Path.Combine(DataDirectory, "recovery.signal"), string.Empty);
        await ArchivingCluster.GiveToPostgresAsync(DataDirectory);
        await Command.ShellAsync(
            $"{Drop} {Bin}/pg_ctl -D '{DataDirectory}' -l '{_folder["log"]}' -w -t 120 -s start || (cat '{_folder["log"]}' >&2; false)",
            cluster.ServerEnvironment,
            "/");
        await Eventually.TrueAsync(async () => await TextAsync("SELECT pg_is_in_recovery()::text") == "false", "the copy has recovered");
    }

    /// <summary>The line that generate-config prints for a cluster, for this data directory: the spool is named after it.</summary>
    public async Task<string> RestoreCommandAsync(ArchivingCluster cluster)
    {
        var config = (await cluster.RunAsync("wal-archive", "generate-config", "--env-file", cluster.EnvFile)).Expect(0).Output;
        var command = config.Split('\n').Single(static l => l.StartsWith("# restore_command = ", StringComparison.Ordinal))[2..];
        return command.Replace(await SpoolNameAsync(cluster.DataDirectory), await SpoolNameAsync(DataDirectory), StringComparison.Ordinal);
    }

    /// <summary>Where its segments are fetched ahead to.</summary>
    public async Task<string> FetchFolderAsync(ArchivingCluster cluster)
    {
        var system = Path.GetFileName(await cluster.ArchiveOfClusterAsync());
        return Path.Combine(cluster.Spool, $"{system}-{await SpoolNameAsync(DataDirectory)}", "fetch");
    }

    public Task<string> LogAsync() => File.ReadAllTextAsync(_folder["log"]);

    public async Task<string?> TextAsync(string sql)
    {
        await using var connection = await OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync(), System.Globalization.CultureInfo.InvariantCulture);
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var connection = await OpenAsync();
        foreach (var statement in sql.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            await using var command = new NpgsqlCommand(statement, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(DataDirectory, "postmaster.pid")))
        {
            await Command.RunAsync("/bin/sh", ["-c", $"{Drop} {Bin}/pg_ctl -D '{DataDirectory}' -m immediate -s stop"], null, "/");
        }

        _folder.Dispose();
    }

    private async Task<NpgsqlConnection> OpenAsync()
    {
        var settings = new NpgsqlConnectionStringBuilder { Host = _folder.Path, Username = "postgres", Database = "postgres", Pooling = false };
        var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    private static async Task<string> SpoolNameAsync(string data) =>
        (await Command.ShellAsync($"printf %s \"$(realpath '{data}')\" | sha256sum | cut -c1-12")).Output.Trim();
}
