using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// A real PostgreSQL in a private folder, with a socket there and no TCP unless asked for. A watchdog shell ends and
/// removes it when our end of its stdin closes, so that nothing is left even when the test process is killed.
/// </summary>
public class PostgresCluster : IAsyncLifetime
{
    private static readonly string Bin = PostgresPrograms.Directory;
    private readonly string _folder = Directory.CreateTempSubdirectory("shbackup-pg-").FullName;
    private Process? _watchdog;

    /// <summary>Further lines for postgresql.conf; a fixture with other needs overrides it.</summary>
    public virtual string Settings => string.Empty;

    /// <summary>Further arguments of initdb, as a shell takes them.</summary>
    public virtual string InitdbArguments => string.Empty;

    /// <summary>Variables that the server, and so what it runs, has over the tester's own.</summary>
    public virtual IReadOnlyDictionary<string, string?>? ServerEnvironment => null;

    /// <summary>Directory of the socket: the host to connect to.</summary>
    public string Host => _folder;

    public int Port => 5432;

    public string DataDirectory => Path.Combine(_folder, "data");

    public string LogFile => Path.Combine(_folder, "log");

    public virtual async ValueTask InitializeAsync()
    {
        var asRoot = Environment.UserName == "root";
        var drop = asRoot ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;
        if (asRoot)
        {
            await Command.ShellAsync($"chown postgres: '{_folder}'");
        }

        await Command.ShellAsync(
            $"{drop} {Bin}/initdb --pgdata='{DataDirectory}' --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync {InitdbArguments}",
            directory: "/");
        await File.AppendAllTextAsync(
            Path.Combine(DataDirectory, "postgresql.conf"),
            $"\nlisten_addresses = ''\nunix_socket_directories = '{_folder}'\nfsync = off\nmax_connections = 60\npassword_encryption = 'scram-sha-256'\n{Settings}\n");
        var script = $$"""
            cd /
            {{drop}} {{Bin}}/postgres -D '{{DataDirectory}}' >'{{LogFile}}' 2>&1 </dev/null &
            server=$!
            cat >/dev/null
            kill -INT $server 2>/dev/null
            wait $server
            rm -rf '{{_folder}}'
            """;
        _watchdog = Command.Start("/usr/bin/setsid", ["/bin/sh", "-c", script], ServerEnvironment, "/");
        await WaitUntilReadyAsync();
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_watchdog is { } watchdog)
        {
            watchdog.StandardInput.Close();
            await watchdog.WaitForExitAsync();
            watchdog.Dispose();
        }
    }

    /// <summary>A connection string of our own.</summary>
    public string ConnectionString(string database, string user = "postgres") => new NpgsqlConnectionStringBuilder
    {
        Host = Host,
        Port = Port,
        Database = database,
        Username = user,
        Pooling = false,
        CommandTimeout = 120,
    }.ConnectionString;

    public async Task<NpgsqlConnection> OpenAsync(string database, string user = "postgres")
    {
        var connection = new NpgsqlConnection(ConnectionString(database, user));
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>Runs statements.</summary>
    public async Task ExecuteAsync(string database, string sql)
    {
        await using var connection = await OpenAsync(database);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The first column of the first row as text, or null.</summary>
    public async Task<string?> TextAsync(string database, string sql)
    {
        await using var connection = await OpenAsync(database);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync() is { } value and not DBNull ? Convert.ToString(
            value,
            CultureInfo.InvariantCulture) : null;
    }

    /// <summary>Makes a database with a name of its own and fills it.</summary>
    public async Task<string> CreateDatabaseAsync(string sql, string prefix = "db")
    {
        var name = $"{prefix}_{Guid.NewGuid().ToString("n")[..10]}";
        await ExecuteAsync("postgres", $"CREATE DATABASE {Quote(name)}");
        await ExecuteAsync(name, sql);
        return name;
    }

    public async Task<bool> DatabaseExistsAsync(string name) =>
        await TextAsync(
            "postgres",
            $"SELECT 'yes' FROM pg_database WHERE datname = '{name.Replace("'", "''", StringComparison.Ordinal)}'") is not null;

    public static string Quote(string identifier) => $"\"{identifier.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private async Task WaitUntilReadyAsync()
    {
        var deadline = Stopwatch.StartNew();
        while (deadline.Elapsed < TimeSpan.FromSeconds(60))
        {
            var ready = await Command.RunAsync($"{Bin}/pg_isready", "-q", "-h", Host, "-p", "5432");
            if (ready.ExitCode == 0)
            {
                return;
            }
        }

        throw new TimeoutException($"PostgreSQL did not start: {(File.Exists(LogFile) ? await File.ReadAllTextAsync(LogFile) : "no log")}");
    }
}
