using Npgsql;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A place for a data directory that shbackup restores, and the server that a test starts on it; gone when the test is over.</summary>
public sealed class RestoredServer : IAsyncDisposable
{
    private static readonly string Bin = PostgresPrograms.Directory;
    private static readonly string Drop = Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;
    private readonly TempFolder _folder = new("restored");
    private readonly string? _data;

    private RestoredServer(string? data) => _data = data;

    /// <summary>Makes the place, which PostgreSQL's user may write.</summary>
    public static async Task<RestoredServer> PlaceAsync()
    {
        var server = new RestoredServer(null);
        await ArchivingCluster.GiveToPostgresAsync(server.Folder);
        return server;
    }

    /// <summary>The server of a data directory that is another's.</summary>
    public static async Task<RestoredServer> AtAsync(string data)
    {
        var server = new RestoredServer(data);
        await ArchivingCluster.GiveToPostgresAsync(server.Folder);
        return server;
    }

    /// <summary>A folder for this test alone; the socket is there too.</summary>
    public string Folder => _folder.Path;

    /// <summary>The data directory to be.</summary>
    public string Data => _data ?? _folder["data"];

    public string ControlFile => Path.Combine(Data, "global", "pg_control");

    public Task<string> LogAsync() => File.ReadAllTextAsync(_folder["log"]);

    /// <summary>Sees that every file is as the server had it, by PostgreSQL's own program.</summary>
    public Task VerifyAsync(string options = "") => Command.ShellAsync($"{Drop} {Bin}/pg_verifybackup -q -n {options} '{Data}'", directory: "/");

    /// <summary>Starts the server with a socket of its own.</summary>
    public Task StartAsync(string options = "") => Command.ShellAsync(
        $"{Drop} {Bin}/pg_ctl -D '{Data}' -l '{_folder["log"]}' -o \"-c unix_socket_directories='{Folder}' {options}\" -w -t 120 -s start "
        + $"|| (cat '{_folder["log"]}' >&2; false)",
        directory: "/");

    /// <summary>Waits until it takes writes.</summary>
    public Task PromotedAsync() =>
        Eventually.TrueAsync(async () => await TextAsync("SELECT pg_is_in_recovery()::text") == "false", "the server takes writes");

    public async Task<string?> TextAsync(string sql, string database = "postgres")
    {
        var settings = new NpgsqlConnectionStringBuilder { Host = Folder, Username = "postgres", Database = database, Pooling = false };
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync(), System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Ends the server in good order.</summary>
    public Task StopAsync() => StopAsync(Data, "fast");

    /// <summary>Ends the server of a data directory.</summary>
    public static Task StopAsync(string data, string mode) =>
        Command.ShellAsync($"{Drop} {Bin}/pg_ctl -D '{data}' -m {mode} -w -s stop", directory: "/");

    public async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(Data, "postmaster.pid")))
        {
            await Command.RunAsync("/bin/sh", ["-c", $"{Drop} {Bin}/pg_ctl -D '{Data}' -m immediate -s stop"], null, "/");
        }

        _folder.Dispose();
    }
}
