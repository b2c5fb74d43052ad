using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// An archiving cluster under load to which bad things are done. Rows are added to it all the time, and those that it said were
/// committed are remembered. Its archive is on a disk of its own, which can be full or away.
/// </summary>
public sealed class TroubledCluster : ArchivingCluster
{
    private const int PerSecond = 100;
    private const string Roomy = "400m";

    private static readonly string Drop = Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;

    private readonly List<int> _committed = [];
    private Process? _server;
    private SmallDisk? _disk;
    private PgbenchLoad? _load;
    private int _tried;

    public override string InitdbArguments => "--data-checksums";

    public override string Archive => Path.Combine(Site, "disk", "wal");

    /// <summary>The rows that are committed, which no trouble may take away again.</summary>
    public IReadOnlyList<int> Committed => _committed;

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await RestoredServer.StopAsync(DataDirectory, "fast");
        await RunServerAsync();
        var disk = Path.Combine(Site, "disk");
        Directory.CreateDirectory(disk);
        _disk = await SmallDisk.MountAsync(disk, Roomy);
        await StartArchivingAsync();
        await PgbenchLoad.PrepareAsync(Host);
        await ExecuteAsync("postgres", "CREATE TABLE mark (number int PRIMARY KEY)");
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await ComeToRestAsync();
        if (_server is { HasExited: false } server)
        {
            await RestoredServer.StopAsync(DataDirectory, "immediate");
            await server.WaitForExitAsync();
        }

        _server?.Dispose();
        if (_disk is { } disk)
        {
            await disk.DisposeAsync();
        }

        await base.DisposeAsync();
    }

    /// <summary>Lets the load run, and adds rows until the work that is done beside ends.</summary>
    public async Task UnderLoadAsync(Func<Task> work)
    {
        _load ??= PgbenchLoad.Start(Host, PerSecond);
        var done = work();
        while (!done.IsCompleted)
        {
            await TryAddAsync();
        }

        await done;
        await Eventually.TrueAsync(IsAnsweringAsync, "the server answers");
        await TryAddAsync();
        await ComeToRestAsync();
    }

    /// <summary>Kills the server or one of its children, and starts it again where it does not do so itself.</summary>
    public async Task CrashAsync(bool whole)
    {
        var postmaster = (await File.ReadAllLinesAsync(PidFile))[0];
        if (whole)
        {
            await Command.ShellAsync($"kill -9 {postmaster}");
            await _server!.WaitForExitAsync();
            await RunServerAsync();
        }
        else
        {
            var child = await TextAsync("postgres", "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'pgbench' OR backend_type = 'walwriter' ORDER BY random() LIMIT 1");
            await Command.ShellAsync($"kill -9 {child}");
            await Eventually.TrueAsync(() => !Directory.Exists($"/proc/{child}"), "the killed child is gone");
        }

        await Eventually.TrueAsync(IsAnsweringAsync, "the server answers");
        await ComeToRestAsync();
        _load = PgbenchLoad.Start(Host, PerSecond);
    }

    /// <summary>Takes the archive away, as a disk that fell out, one that may not be read, or one that is full, until a push has failed.</summary>
    public async Task WithoutArchiveAsync(string how, Func<Task> meanwhile)
    {
        var since = await TextAsync("postgres", "SELECT clock_timestamp()::text");
        var environment = new Dictionary<string, string?> { ["ARCHIVE"] = Archive };
        switch (how)
        {
            case "gone":
                Directory.Move(Archive, $"{Archive}.away");
                break;
            case "closed":
                await Command.ShellAsync("chmod 000 \"$ARCHIVE\"", environment);
                break;
            default:
                await _disk!.FillAsync();
                break;
        }

        await meanwhile();
        await Eventually.TrueAsync(
            async () =>
            {
                await SwitchAsync();
                return await TextAsync("postgres", $"SELECT (last_failed_time > '{since}')::text FROM pg_stat_archiver") == "true";
            },
            $"a push fails while the archive is {how}");
        switch (how)
        {
            case "gone":
                Assert.False(Directory.Exists(Archive));
                Directory.Move($"{Archive}.away", Archive);
                break;
            case "closed":
                await Command.ShellAsync("chmod 700 \"$ARCHIVE\"", environment);
                break;
            default:
                await _disk!.MakeRoomAsync();
                break;
        }
    }

    /// <summary>Kills a push that PostgreSQL started, a little after it was seen; false when it had ended by then.</summary>
    public async Task<bool> KillPushAsync(TimeSpan after)
    {
        string? push = null;
        var looks = 0;
        await Eventually.TrueAsync(
            async () =>
            {
                if (looks++ % 50 == 0)
                {
                    await SwitchAsync();
                }

                return (push = FindPush()) is not null;
            },
            "PostgreSQL pushes a segment");
        await Task.Delay(after);
        return IsPush(push!) && (await Command.RunAsync("kill", "-9", push!)).ExitCode == 0;
    }

    private string PidFile => Path.Combine(DataDirectory, "postmaster.pid");

    private Task<string?> SwitchAsync() => TextAsync("postgres", "SELECT pg_switch_wal()::text");

    private string? FindPush() => Directory.EnumerateDirectories("/proc").Select(static d => Path.GetFileName(d))
        .FirstOrDefault(n => n.All(char.IsAsciiDigit) && IsPush(n));

    private bool IsPush(string process)
    {
        try
        {
            // One of ours and no shell that starts it.
            var words = File.ReadAllText($"/proc/{process}/cmdline").Split('\0');
            return words.Contains(EnvFile) && words.Contains("push");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private async Task ComeToRestAsync()
    {
        if (_load is { } load)
        {
            _load = null;
            await load.DisposeAsync();
        }
    }

    // Under a shell that sees its end, as a service manager does: of a killed one that nobody waits for, the process id stays in use.
    // As long as children of the one before live, the next one refuses to start.
    private Task RunServerAsync()
    {
        var script = $"{Drop} {PostgresPrograms.Directory}/postgres -D '{DataDirectory}' >>'{LogFile}' 2>&1 </dev/null & wait $!";
        return Eventually.TrueAsync(
            async () =>
            {
                if (_server is null or { HasExited: true })
                {
                    _server?.Dispose();
                    _server = Command.Start("/usr/bin/setsid", ["/bin/sh", "-c", script], null, "/");
                }

                return await IsAnsweringAsync();
            },
            "the server runs");
    }

    private async Task<bool> IsAnsweringAsync()
    {
        try
        {
            return await TextAsync("postgres", "SELECT 'yes'") == "yes";
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    // Of one that failed nobody knows whether it is committed.
    private async Task TryAddAsync()
    {
        var number = ++_tried;
        try
        {
            await ExecuteAsync("postgres", string.Create(CultureInfo.InvariantCulture, $"INSERT INTO mark VALUES ({number})"));
            _committed.Add(number);
        }
        catch (NpgsqlException)
        {
            await Task.Delay(10);
        }
    }
}
