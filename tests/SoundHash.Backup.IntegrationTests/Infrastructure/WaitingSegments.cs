using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// Segments of a real server in a data directory without one, with settings, archive and spool of its own: the test says what waits to be
/// archived, and stops pushes in the middle of it.
/// </summary>
public sealed class WaitingSegments : IAsyncDisposable
{
    private readonly TempFolder _folder = new("waiting");
    private readonly ArchivingCluster _cluster;
    private readonly List<Process> _started = [];
    private string? _identity;

    private WaitingSegments(ArchivingCluster cluster) => _cluster = cluster;

    public string DataDirectory => _folder["data"];

    public string EnvFile => _folder[".env"];

    /// <summary>Their names, in order.</summary>
    public IReadOnlyList<string> Segments { get; private set; } = [];

    /// <summary>The acknowledgements in the spool, in order.</summary>
    public IEnumerable<string> Acknowledged => Directory.GetFiles(Spool).Select(static f => Path.GetFileName(f))
        .Where(static n => n.StartsWith("0000", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    private string Spool => Assert.Single(Directory.GetDirectories(_folder["spool"]));

    private string LockFile => Path.Combine(Spool, "locks", "wal-archive push.lock");

    /// <summary>Takes so many new segments of a cluster; none of them is ready to be archived.</summary>
    public static async Task<WaitingSegments> OfAsync(ArchivingCluster cluster, int count)
    {
        var waiting = new WaitingSegments(cluster);
        var segments = new List<string>();
        while (segments.Count < count)
        {
            segments.Add(await cluster.SwitchWalAsync());
        }

        await cluster.ArchivedAsync(segments[^1]);
        waiting.Segments = segments;
        await Command.ShellAsync(
            $"""
            mkdir -p '{waiting.DataDirectory}/global' '{waiting.DataDirectory}/pg_wal/archive_status'
            cp '{cluster.DataDirectory}/global/pg_control' '{waiting.DataDirectory}/global'
            cd '{cluster.DataDirectory}/pg_wal'
            cp {string.Join(' ', segments)} '{waiting.DataDirectory}/pg_wal'
            """);
        // One segment ahead at a time, beside the one that is asked for.
        await File.WriteAllLinesAsync(
            waiting.EnvFile, [$"BACKUP_WAL_DIR={waiting._folder["wal"]}", $"BACKUP_SPOOL_DIR={waiting._folder["spool"]}", "BACKUP_JOBS=1"]);
        await ArchivingCluster.GiveToPostgresAsync(waiting._folder.Path);
        return waiting;
    }

    /// <summary>Says as PostgreSQL does that files wait to be archived.</summary>
    public async Task ReadyAsync(params string[] names)
    {
        foreach (var name in names)
        {
            await File.WriteAllBytesAsync(Mark(name, "ready"), []);
        }

        await ArchivingCluster.GiveToPostgresAsync(DataDirectory);
    }

    /// <summary>Says as PostgreSQL does that a file need not be archived any more.</summary>
    public void Done(string name) => File.Move(Mark(name, "ready"), Mark(name, "done"));

    /// <summary>Writes a file into pg_wal, over what is there.</summary>
    public async Task WriteAsync(string name, string text)
    {
        await File.WriteAllTextAsync(PathOf(name), text);
        await ArchivingCluster.GiveToPostgresAsync(PathOf(name));
    }

    /// <summary>Puts the content of another segment into the place of one, as a new file.</summary>
    public async Task ReplaceAsync(string name, string other)
    {
        File.Copy(PathOf(other), PathOf($"{name}.new"));
        File.Move(PathOf($"{name}.new"), PathOf(name), overwrite: true);
        await ArchivingCluster.GiveToPostgresAsync(PathOf(name));
    }

    /// <summary>
    /// From now on what is archived is encrypted, and each encryption stops before its first byte: its segment has been read then, and
    /// nothing of it is archived.
    /// </summary>
    public async Task HoldAsync()
    {
        _identity = _folder["identity.txt"];
        var recipient = (await Command.ShellAsync($"age-keygen -o '{_identity}' 2>/dev/null; age-keygen -y '{_identity}'")).Output.Trim();
        await File.AppendAllLinesAsync(
            EnvFile, ["BACKUP_ENCRYPTION_ENABLED=true", "BACKUP_ENCRYPTION_METHOD=age", $"BACKUP_ENCRYPTION_KEY={recipient}"]);
        Directory.CreateDirectory(_folder["bin"]);
        Directory.CreateDirectory(_folder["held"]);
        await File.WriteAllTextAsync(_folder["closed"], string.Empty);
        // Each push first tries whether it can encrypt at all.
        await File.WriteAllTextAsync(
            _folder["bin/age"],
            $"""
            #!/bin/sh
            if ! mkdir '{_folder["tried-"]}'$PPID 2>/dev/null; then
              touch '{_folder["held/"]}'$$
              while [ -e '{_folder["closed"]}' ]; do sleep 0.02; done
            fi
            PATH=${"{PATH#*:}"}
            exec age "$@"

            """);
        await Command.ShellAsync($"chmod 755 '{_folder["bin/age"]}'");
        await ArchivingCluster.GiveToPostgresAsync(_folder.Path);
    }

    /// <summary>Waits until so many encryptions have been stopped.</summary>
    public Task HeldAsync(int count) => Eventually.TrueAsync(() => Held == count, $"{count} segments are being archived");

    /// <summary>How many encryptions have been stopped.</summary>
    public int Held => Directory.GetFiles(_folder["held"]).Length;

    /// <summary>Lets them go on, and stops no more.</summary>
    public void LetGo() => File.Delete(_folder["closed"]);

    /// <summary>The process that is archiving here: the one that holds the lock.</summary>
    public async Task<string> PushingAsync() => (await Command.ShellAsync($"cat '{LockFile}'")).Output.Split(' ')[1];

    /// <summary>Waits until a process is about to take the lock.</summary>
    public Task IsAtLockAsync(Process push) => Eventually.TrueAsync(
        () => Held > 1 || Directory.GetFiles($"/proc/{push.Id}/fd").Any(f => new FileInfo(f).LinkTarget == LockFile), "the push is at the lock");

    /// <summary>Starts a push by hand.</summary>
    public Process StartPush(string name) => Start(Workspace.Executable, "wal-archive", "push", $"pg_wal/{name}", "--env-file", EnvFile);

    /// <summary>Pushes by hand.</summary>
    public Task<CommandResult> PushAsync(string name) => Command.FinishAsync(StartPush(name));

    /// <summary>Starts the archive_command that generate-config made, with settings and spool of this data directory, as PostgreSQL does.</summary>
    public async Task<Process> StartCommandAsync(string name)
    {
        var command = (await _cluster.TextAsync("postgres", "SHOW archive_command"))!;
        var system = Path.GetFileName(await _cluster.ArchiveOfClusterAsync());
        var hash = (await Command.ShellAsync($"printf %s '{DataDirectory}' | sha256sum | cut -c1-12")).Output.Trim();
        var spool = Assert.Single(Directory.GetDirectories(_cluster.Spool, $"{system}-*"));
        command = command.Replace(Escaped(spool), _folder[$"spool/{system}-{hash}"], StringComparison.Ordinal)
            .Replace(Escaped(_cluster.EnvFile), EnvFile, StringComparison.Ordinal);
        Assert.DoesNotContain(Escaped(_cluster.Site), command, StringComparison.Ordinal);
        return Start("/bin/sh", "-c", command.Replace("%f", name, StringComparison.Ordinal).Replace("%p", $"pg_wal/{name}", StringComparison.Ordinal));
    }

    /// <summary>Runs the archive_command.</summary>
    public async Task<CommandResult> RunCommandAsync(string name) => await Command.FinishAsync(await StartCommandAsync(name));

    /// <summary>What there is in the archive of a file: itself, its sum, or halves.</summary>
    public IEnumerable<string> InArchive(string name) => Directory.Exists(_folder["wal"])
        ? Directory.GetFiles(_folder["wal"], "*", SearchOption.AllDirectories).Select(static f => Path.GetFileName(f))
            .Where(f => f.StartsWith(name, StringComparison.Ordinal)).Order(StringComparer.Ordinal)
        : [];

    /// <summary>Sees that a file is archived byte for byte.</summary>
    public async Task IsArchivedAsync(string name)
    {
        Assert.Equal([name, $"{name}.sha256"], InArchive(name));
        var stored = Assert.Single(Directory.GetFiles(_folder["wal"], name, SearchOption.AllDirectories));
        var open = _identity is null ? $"cat '{stored}'" : $"age --decrypt --identity '{_identity}' '{stored}'";
        await Command.ShellAsync($"{open} | zstd -dcq | cmp - '{PathOf(name)}'");
    }

    public async ValueTask DisposeAsync()
    {
        LetGo();
        foreach (var process in _started)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
        }

        _folder.Dispose();
    }

    private string PathOf(string name) => Path.Combine(DataDirectory, "pg_wal", name);

    private string Mark(string name, string state) => Path.Combine(DataDirectory, "pg_wal", "archive_status", $"{name}.{state}");

    private Process Start(params string[] command)
    {
        var process = ArchivingCluster.StartIn(DataDirectory, [$"PATH={_folder["bin"]}:{Environment.GetEnvironmentVariable("PATH")}"], command);
        _started.Add(process);
        return process;
    }

    // As a command has it in its quotes.
    private static string Escaped(string path) =>
        path.Replace("'", "'\\''", StringComparison.Ordinal).Replace("%", "%%", StringComparison.Ordinal);
}
