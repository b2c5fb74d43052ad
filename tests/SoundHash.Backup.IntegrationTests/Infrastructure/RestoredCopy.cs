using System.Diagnostics;
using Npgsql;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A physical set restored by the commands of docs/formats.md, and PostgreSQL running on it.</summary>
public sealed class RestoredCopy : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("shbackup-copy-").FullName;
    private Process? _watchdog;

    /// <summary>The data directory.</summary>
    public string Data => Path.Combine(_folder, "data");

    /// <summary>Where the recipe puts tablespaces.</summary>
    public string Tablespaces => Path.Combine(_folder, "spaces");

    private static bool AsRoot => Environment.UserName == "root";

    private static string Drop => AsRoot ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;

    /// <summary>Restores the files; pg_verifybackup must find them to be as they were.</summary>
    public static async Task<RestoredCopy> RestoreAsync(Workspace work, ScriptArchivingCluster cluster, string id)
    {
        var copy = new RestoredCopy();
        var environment = work.CleanEnvironment();
        environment["SET"] = work.SetFolder(id);
        environment["TARGET"] = copy.Data;
        environment["TABLESPACES"] = copy.Tablespaces;
        // Others of this cluster may have given the archive a second name.
        environment["WAL"] = Directory.GetDirectories(cluster.WalArchive).Single(static d => Path.GetFileName(d).All(char.IsAsciiDigit));
        environment["IDENTITY"] = work.IdentityFile;
        environment["PATH"] = $"{PostgresPrograms.Directory}:{Environment.GetEnvironmentVariable("PATH")}";
        await Command.ShellAsync(Recipes.Read("formats.md", "physical recipe"), environment, work.Folder);
        await File.AppendAllTextAsync(
            Path.Combine(copy.Data, "postgresql.auto.conf"),
            $"\nlisten_addresses = ''\nunix_socket_directories = '{copy._folder}'\narchive_mode = off\n");
        if (AsRoot)
        {
            await Command.ShellAsync($"chown -R postgres: '{copy._folder}'");
        }

        return copy;
    }

    /// <summary>Starts PostgreSQL and waits until it has recovered, or until it answers as a standby.</summary>
    public async Task StartAsync(bool asStandby = false)
    {
        if (asStandby)
        {
            File.Move(Path.Combine(Data, "recovery.signal"), Path.Combine(Data, "standby.signal"));
        }

        var script = $$"""
            cd /
            {{Drop}} {{PostgresPrograms.Directory}}/postgres -D '{{Data}}' >'{{_folder}}/log' 2>&1 </dev/null &
            server=$!
            cat >/dev/null
            kill -QUIT $server 2>/dev/null
            wait $server
            rm -rf '{{_folder}}'
            """;
        _watchdog = Command.Start("/usr/bin/setsid", ["/bin/sh", "-c", script], null, "/");
        await Eventually.TrueAsync(
            async () =>
            {
                try
                {
                    return await TextAsync("postgres", "SELECT pg_is_in_recovery()::text") == (asStandby ? "true" : "false");
                }
                catch (NpgsqlException)
                {
                    await EnsureNotStoppedAsync();
                    return false;
                }
            },
            "the restored copy answers");
    }

    /// <summary>The first column of the first row as text.</summary>
    public async Task<string?> TextAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString(database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (await command.ExecuteScalarAsync())?.ToString();
    }

    /// <summary>Directory of the socket.</summary>
    public string Host => _folder;

    public async ValueTask DisposeAsync()
    {
        if (_watchdog is null)
        {
            Directory.Delete(_folder, recursive: true);
            return;
        }

        _watchdog.StandardInput.Close();
        await _watchdog.WaitForExitAsync();
        _watchdog.Dispose();
    }

    private string ConnectionString(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = _folder,
        Database = database,
        Username = "postgres",
        Pooling = false,
    }.ConnectionString;

    private async Task EnsureNotStoppedAsync()
    {
        var log = Path.Combine(_folder, "log");
        var text = File.Exists(log) ? await File.ReadAllTextAsync(log) : string.Empty;
        Assert.False(text.Contains("database system is shut down", StringComparison.Ordinal), text);
    }
}
