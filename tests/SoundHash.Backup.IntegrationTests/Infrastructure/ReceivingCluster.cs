using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A cluster whose WAL only a receiver archives. It keeps its segments, to compare with, and can crash and come back.</summary>
public class ReceivingCluster : ArchivingCluster
{
    private static readonly string Bin = PostgresPrograms.Directory;
    private static readonly string Drop =
        System.Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;

    /// <inheritdoc/>
    public override string Settings => "archive_mode = off\nwal_keep_size = 1GB\nmax_wal_senders = 8\nmax_replication_slots = 8\n";

    /// <summary>What is unfinished in the archive.</summary>
    public async Task<string[]> PiecesAsync(string? segment = null)
    {
        var folder = Path.Combine(await ArchiveOfClusterAsync(), "streaming");
        return Directory.Exists(folder)
            ? Directory.GetFiles(folder, $"{segment}*").Where(static f => !f.Contains(".sha256", StringComparison.Ordinal)
                && !f.Contains(".writing-", StringComparison.Ordinal)).ToArray()
            : [];
    }

    /// <summary>The folder that pg_receivewal writes into.</summary>
    public async Task<string> ReceiveFolderAsync() =>
        Path.Combine(Spool, "receive", Path.GetFileName(await ArchiveOfClusterAsync()));

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory.CreateDirectory(Site);
        await File.WriteAllLinesAsync(
            EnvFile,
            [
                $"DATABASE_HOST={Host}", "DATABASE_USER=postgres", "DATABASE_NAME=postgres",
                $"BACKUP_DIR=\"{Site}/backups\"", $"BACKUP_WAL_DIR=\"{Archive}\"", $"BACKUP_SPOOL_DIR=\"{Spool}\"",
            ]);
        await GiveToPostgresAsync(Site);
    }

    /// <summary>Starts a receiver that flushes every second, and waits until the server streams to it.</summary>
    public async Task<Receiver> ReceiveAsync(params string[] options)
    {
        var receiver = new Receiver(StartShbackup([], ["wal-archive", "receive", "--env-file", EnvFile, "--flush-seconds", "1", .. options]));
        await receiver.StreamsAsync();
        return receiver;
    }

    /// <summary>Starts shbackup as PostgreSQL's user.</summary>
    public Process StartShbackup(string[] environment, string[] arguments) => Command.Start(
        "/usr/bin/env",
        [
            "--default-signal", .. environment,
            .. Drop.Split(' ', StringSplitOptions.RemoveEmptyEntries), Workspace.Executable, .. arguments,
        ],
        ServerEnvironment,
        "/");

    /// <summary>The process ids of programs of a name that work for this cluster's receiver.</summary>
    public IReadOnlyList<int> Programs(string name)
    {
        var found = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            try
            {
                if (int.TryParse(Path.GetFileName(folder), System.Globalization.CultureInfo.InvariantCulture, out var pid)
                    && File.ReadAllText(Path.Combine(folder, "comm")).Trim() == name
                    && File.ReadAllText(Path.Combine(folder, "cmdline")).Contains(Spool, StringComparison.Ordinal))
                {
                    found.Add(pid);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended while we looked.
            }
        }

        return found;
    }

    /// <summary>Writes some WAL that does not fill a segment, and returns its end.</summary>
    public async Task<string> CommitAsync(string text)
    {
        await ExecuteAsync("postgres", $"CREATE TABLE IF NOT EXISTS marker (t text); INSERT INTO marker VALUES ('{text}')");
        return (await TextAsync("postgres", "SELECT pg_current_wal_lsn()::text"))!;
    }

    /// <summary>True when the log is in pieces up to a position.</summary>
    public async Task<bool> IsFlushedAsync(string lsn)
    {
        // SEGMENT.FROM-TO
        var name = (await TextAsync("postgres", $"SELECT file_name || '.' || file_offset FROM pg_walfile_name_offset('{lsn}')"))!;
        var pieces = await PiecesAsync(name[..24]);
        var offset = int.Parse(name[25..], System.Globalization.CultureInfo.InvariantCulture);
        // A record is padded with zeros to a multiple of eight, which a piece need not have.
        return Array.Exists(pieces, p => Convert.ToInt32(p[^8..], 16) > offset - 8);
    }

    /// <summary>Writes enough WAL for some segments, ends the last one, and returns the name of that.</summary>
    public async Task<string> FillAsync()
    {
        await ExecuteAsync(
            "postgres",
            "CREATE TABLE IF NOT EXISTS filler (t text); INSERT INTO filler SELECT repeat(md5(g::text), 30) FROM generate_series(1, 40000) g");
        return await SwitchWalAsync();
    }

    /// <summary>Waits until a segment is archived, and sees that it and all before it are the server's own, byte for byte.</summary>
    public async Task ConvergesAsync(string last)
    {
        var archive = Path.Combine(await ArchiveOfClusterAsync(), last[..8]);
        // Two are uploaded at once, so that the last may come first.
        await Eventually.TrueAsync(
            () => File.Exists(Path.Combine(archive, last)) && Segments(archive).Min() is var first
                && Segments(Path.Combine(DataDirectory, "pg_wal")).Where(s => string.CompareOrdinal(s, first) >= 0 && string.CompareOrdinal(s, last) <= 0)
                    .All(Segments(archive).ToHashSet().Contains),
            $"all up to {last} are archived");
        var compared = await Command.ShellAsync(
            $$"""
            cd "$ARCHIVE"
            first=$(ls | grep -E '^[0-9A-F]{24}$' | head -n 1)
            for f in $(ls "$DATA/pg_wal" | grep -E '^[0-9A-F]{24}$'); do
              [ "$f" \< "$first" ] && continue
              [ "$f" \> "{{last}}" ] && break
              zstd -dcq "$f" | cmp - "$DATA/pg_wal/$f"
              echo "$f"
            done
            """,
            new Dictionary<string, string?> { ["DATA"] = DataDirectory, ["ARCHIVE"] = archive });
        Assert.EndsWith($"{last}\n", compared.Output, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Segments(string folder) =>
        Directory.GetFiles(folder).Select(static f => Path.GetFileName(f)).Where(static n => n.Length == 24 && n.All(char.IsAsciiHexDigitUpper));

    /// <summary>Ends the server as a crash does.</summary>
    public Task CrashAsync() => Command.ShellAsync($"{Drop} {Bin}/pg_ctl -D '{DataDirectory}' -m immediate -w -s stop", directory: "/");

    /// <summary>Starts it again; with its socket in another directory where one is given.</summary>
    public Task StartAgainAsync(string? socket = null) => Command.ShellAsync(
        $"{Drop} {Bin}/pg_ctl -D '{DataDirectory}' -l '{LogFile}.again' -o \"-c unix_socket_directories='{socket ?? Host}'\" -w -s start", directory: "/");

    /// <summary>Lets the server that was ended recover to the end of its own WAL, and go on from there on a new timeline.</summary>
    public async Task RecoverOntoNewTimelineAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(DataDirectory, "recovery.signal"), string.Empty);
        await GiveToPostgresAsync(Path.Combine(DataDirectory, "recovery.signal"));
        await File.AppendAllTextAsync(Path.Combine(DataDirectory, "postgresql.conf"), "restore_command = 'false'\n");
        await StartAgainAsync();
        await Eventually.TrueAsync(
            async () => await TextAsync("postgres", "SELECT pg_is_in_recovery()::text") == "false", "the server is on a new timeline");
    }

    public override async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(DataDirectory, "postmaster.pid")))
        {
            await Command.RunAsync("/bin/sh", ["-c", $"{Drop} {Bin}/pg_ctl -D '{DataDirectory}' -m immediate -w -s stop"], null, "/");
        }

        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}

/// <summary>A cluster whose receiver encrypts to a key that PostgreSQL's user has.</summary>
public sealed class EncryptedReceivingCluster(string method) : ReceivingCluster
{
    private readonly TempFolder _keys = new("keys");

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string?>? ServerEnvironment => new Dictionary<string, string?> { ["GNUPGHOME"] = _keys["own"] };

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await Command.ShellAsync($"mkdir -m 700 '{_keys["own"]}'");
        var key = await KeyFolder.MakeAsync(method, _keys["own"]);
        await GiveToPostgresAsync(_keys.Path);
        await File.AppendAllLinesAsync(EnvFile, KeyFolder.Settings(method, _keys["own"], key));
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await KeyFolder.EndAgentAsync(_keys["own"]);
        _keys.Dispose();
    }
}

/// <summary>A running <c>wal-archive receive</c>, ended with the test.</summary>
public sealed class Receiver(Process process) : IAsyncDisposable
{
    private readonly List<string> _said = [];
    private readonly Task<string> _output = process.StandardOutput.ReadToEndAsync();
    private Task? _reading;

    public int Id => process.Id;

    /// <summary>What it said so far.</summary>
    public string Said
    {
        get
        {
            lock (_said)
            {
                return string.Join('\n', _said);
            }
        }
    }

    /// <summary>Waits until it says that it streams, however often it did before.</summary>
    public async Task StreamsAsync(int times = 1)
    {
        _reading ??= ReadAsync();
        await Eventually.TrueAsync(
            () => !process.HasExited || Said.Contains("streaming from", StringComparison.Ordinal)
                ? Said.Split("streaming from").Length > times
                : throw new InvalidOperationException($"the receiver ended with {process.ExitCode}: {Said}"),
            "the receiver streams");
    }

    /// <summary>Sends a signal, waits for the end and returns the exit code.</summary>
    public async Task<int> EndAsync(string signal = "TERM")
    {
        if (!process.HasExited)
        {
            await Command.RunAsync("/bin/kill", $"-{signal}", $"{process.Id}");
        }

        return await ExitCodeAsync();
    }

    /// <summary>Waits for the end.</summary>
    public async Task<int> ExitCodeAsync()
    {
        _reading ??= ReadAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await process.WaitForExitAsync(limit.Token);
        await _reading;
        _ = await _output;
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync("KILL");
        process.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_said)
            {
                _said.Add(line);
            }
        }
    }
}
