using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Starts a server on a restored data directory, as the owner of its files, and runs programs beside it.</summary>
/// <param name="directory">The data directory.</param>
/// <param name="owner">Whose the files are; null where they are ours.</param>
/// <param name="tools">Programs of the server's version.</param>
/// <param name="port">Its port; null for the one of its configuration.</param>
/// <param name="role">The role to ask it as.</param>
/// <param name="launcher">Starts programs.</param>
internal sealed class RecoveringServer(string directory, DataOwner? owner, PgTools tools, int? port, string role, ProcessLauncher launcher)
{
    // What PostgreSQL and its programs would take from our own environment.
    private static readonly string[] Foreign = ["PGPORT", "PGHOST", "PGDATA", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS", "PGSERVICE"];

    /// <summary>Starts it with a log of its own, and does not wait.</summary>
    /// <param name="log">The log's file.</param>
    /// <param name="outside">Configuration from outside the data directory, where it is now.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It can't be started.</exception>
    public async Task StartAsync(string log, IReadOnlyList<(string From, string To)> outside, CancellationToken cancel)
    {
        var options = string.Join(' ', Settings(outside).Select(static s => $"-c {ShellText.Word($"{s.Name}={s.Value}")}"));
        await ReadAsync("pg_ctl", ["start", "-D", directory, "-W", "-s", "-l", log, "-o", options], cancel);
    }

    /// <summary>The first row of a query, its fields parted by '|'; null when the server does not answer us.</summary>
    public async Task<string?> TryQueryAsync(string sql, CancellationToken cancel)
    {
        try
        {
            var lines = await File.ReadAllLinesAsync(Path.Combine(directory, "postmaster.pid"), cancel);
            // src/include/utils/pidfile.h: the process, the data directory, the start, the port, the directory of the socket.
            string[] arguments = ["-X", "-A", "-t", "-q", "-w", "-h", lines[4].Length > 0 ? lines[4] : "localhost", "-p", lines[3], "-U", role, "-d", "postgres", "-c", sql];
            return (await ReadAsync("psql", arguments, cancel)).Trim();
        }
        catch (Exception e) when (e is BackupException or IOException or UnauthorizedAccessException or IndexOutOfRangeException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>True while the server is there.</summary>
    public bool IsAlive()
    {
        try
        {
            // A number of its own says nothing: when the server is gone another process may have it.
            return int.TryParse(File.ReadLines(Path.Combine(directory, ServerSign.File)).FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
                && ServerSign.WorksIn(pid, directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private async Task<string> ReadAsync(string program, string[] arguments, CancellationToken cancel)
    {
        string[] command = [tools.Path(program), .. arguments];
        if (owner is { } user)
        {
            command =
            [
                ProgramPath.Require("setpriv", "util-linux"),
                string.Create(CultureInfo.InvariantCulture, $"--reuid={user.User}"),
                string.Create(CultureInfo.InvariantCulture, $"--regid={user.Group}"),
                "--init-groups",
                "--",
                .. command,
            ];
        }

        return await launcher.ReadOutputAsync(
            new ChildCommand(command[0], command[1..])
            {
                Directory = directory,
                Environment = Foreign.ToDictionary(static n => n, static _ => (string?)null)
                    .Concat(EnglishMessages.Variables)
                    .Append(new KeyValuePair<string, string?>("PGCONNECT_TIMEOUT", "5"))
                    .Append(new KeyValuePair<string, string?>("PGTZ", "UTC")).ToDictionary(),
            },
            cancel);
    }

    // Its words go to our own log in English, whatever the configuration says.
    private IEnumerable<(string Name, string Value)> Settings(IReadOnlyList<(string From, string To)> outside)
    {
        yield return ("logging_collector", "off");
        yield return ("log_destination", "stderr");
        yield return ("log_min_messages", "warning");
        yield return ("lc_messages", "C");
        if (port is { } other)
        {
            yield return ("port", other.ToString(CultureInfo.InvariantCulture));
        }

        yield return ("log_error_verbosity", "default");
        yield return ("log_line_prefix", "%m [%p] ");
        // A configuration file that names the original's directory would start a server there.
        yield return ("data_directory", directory);
        foreach (var (setting, file) in ((string, string)[])[("config_file", "postgresql.conf"), ("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")])
        {
            if (outside.FirstOrDefault(p => Path.GetFileName(p.From) == file).To is { } now)
            {
                yield return (setting, now);
            }
        }

        if (outside.Any(static p => p.From != p.To))
        {
            // That of the original, which may be running.
            yield return ("external_pid_file", string.Empty);
        }
    }
}
