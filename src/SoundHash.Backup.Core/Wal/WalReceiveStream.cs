using System.Globalization;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Wal;

/// <summary>
/// One stream from a server: a pg_receivewal on our slot, watched through a session of our own until it ends. Whatever becomes of
/// us, it ends with us: a second one would find the slot in use.
/// </summary>
internal sealed class WalReceiveStream(
    WalReceiveFolder folder,
    WalReceiveOptions options,
    ProcessLauncher launcher,
    PgToolFinder tools,
    WalReceiveProgress progress,
    TimeProvider time,
    ILogger log)
{
    // pg_receivewal looks at no pipe of ours: the shell does, and ends it when our end is gone.
    private const string EndWithUs =
        """
        exec 3<&0
        "$0" "$@" 3<&- </dev/null &
        receiver=$!
        (cat <&3; kill -TERM $receiver) >/dev/null 2>&1 &
        watcher=$!
        exec 3<&-
        wait $receiver
        code=$?
        kill $watcher
        exit $code
        """;

    private const int FirstMajorThatTellsStart = 15;
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private Session? _session;
    private bool _toldUnreserved;

    /// <summary>Streams until that ends, which it never does by itself.</summary>
    /// <param name="onStreaming">Called when the server says that it streams.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="BackupException">Why it ended.</exception>
    public async Task RunAsync(Action onStreaming, CancellationToken cancel)
    {
        try
        {
            _session = await Session.OpenAnyAsync(options.Server, cancel);
            await using var child = launcher.Start(await PrepareAsync(_session, cancel));
            var ended = child.WaitForExitAsync(CancellationToken.None);
            while (!ended.IsCompleted)
            {
                if (await TryLookAsync(cancel) is { } state)
                {
                    Judge(state, onStreaming);
                }

                await Task.WhenAny(ended, Task.Delay(Look, time, cancel));
                cancel.ThrowIfCancellationRequested();
            }

            throw Ended(await ended, child.StderrTail);
        }
        finally
        {
            await CloseAsync();
        }
    }

    private async Task<ChildCommand> PrepareAsync(Session session, CancellationToken cancel)
    {
        await EnsureSystemAsync(session, cancel);
        await Slot.EnsureVisibleAsync(session, cancel);
        if (await options.Slot.EnsureAsync(session, cancel))
        {
            log.Information("replication slot {Slot} is made: the server keeps its WAL until it is received", options.Slot.Name);
        }

        var state = await options.Slot.ReadAsync(session, cancel);
        if (state.IsLost)
        {
            throw Gap($"replication slot {options.Slot.Name} is lost: the server has removed WAL that was not received (max_slot_wal_keep_size)");
        }

        var segmentBytes = int.Parse(
            (await session.TextAsync("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'", cancel))!, CultureInfo.InvariantCulture);
        folder.Prepare(segmentBytes, await StartAsync(session, state, segmentBytes, cancel));
        var program = (await tools.ForServerAsync(session.ServerMajor, cancel)).Path("pg_receivewal");
        string[] synchronous = options.Synchronous ? ["--synchronous"] : [];
        return new ChildCommand(
            "/bin/sh",
            [
                "-c", EndWithUs, program, $"--directory={folder.Path}", $"--slot={options.Slot.Name}", "--no-loop", "--no-password",
                "--status-interval=1", .. synchronous,
            ])
        {
            Environment = new Dictionary<string, string?>(options.Server.Environment) { ["PGAPPNAME"] = options.Slot.Name },
        };
    }

    private static async Task<WalSegment?> StartAsync(Session session, SlotState state, int segmentBytes, CancellationToken cancel)
    {
        if (session.ServerMajor >= FirstMajorThatTellsStart || state.RestartLsn is not { } start)
        {
            return null;
        }

        var current = await session.TextAsync("SELECT pg_walfile_name(pg_current_wal_lsn())", cancel);
        return WalSegment.Of(Convert.ToUInt32(current![..8], 16), start, segmentBytes);
    }

    // Behind one address, another server may answer next time.
    private async Task EnsureSystemAsync(Session session, CancellationToken cancel)
    {
        var system = await ServerFacts.SystemIdentifierAsync(session, log, cancel);
        if (system != Path.GetFileName(folder.Path))
        {
            throw new BackupException(
                ErrorKind.Configuration,
                $"the server {options.Server.Server} is system identifier {system}, and this receives WAL of {Path.GetFileName(folder.Path)}",
                "correct DATABASE_HOST and DATABASE_PORT; each cluster has a receiver and a BACKUP_CLUSTER of its own");
        }
    }

    // Null when the server could not be looked at, which may not end the stream: it has a connection of its own.
    private async Task<SlotState?> TryLookAsync(CancellationToken cancel)
    {
        try
        {
            if (_session is null)
            {
                _session = await Session.OpenAnyAsync(options.Server, cancel);
                await EnsureSystemAsync(_session, cancel);
            }

            return await options.Slot.ReadAsync(_session, cancel);
        }
        catch (BackupException e) when (e.Kind == ErrorKind.ChildFailed && !cancel.IsCancellationRequested)
        {
            log.Debug("the server can't be looked at: {Message}", e.Message);
            await CloseAsync();
            return null;
        }
    }

    private async Task CloseAsync()
    {
        if (_session is { } session)
        {
            _session = null;
            await session.DisposeAsync();
        }
    }

    private void Judge(SlotState state, Action onStreaming)
    {
        if (state.IsLost)
        {
            throw Gap($"replication slot {options.Slot.Name} is lost: the server has removed WAL that was not received (max_slot_wal_keep_size)");
        }

        if (state.WalStatus == "unreserved" && !_toldUnreserved)
        {
            log.Warning("replication slot {Slot} is about to be lost: the stream is too far behind for max_slot_wal_keep_size", options.Slot.Name);
        }

        _toldUnreserved = state.WalStatus == "unreserved";
        progress.Saw(state);
        if (state.Streaming)
        {
            onStreaming();
        }
    }

    private BackupException Ended(int exitCode, string stderr)
    {
        // In the server's language, unless that is English.
        if (stderr.Contains("has already been removed", StringComparison.Ordinal))
        {
            return Gap($"the server has removed WAL that was not received ({stderr.Trim().Split('\n')[^1]})");
        }

        return exitCode == 0
            ? new BackupException(ErrorKind.ChildFailed, "pg_receivewal ended")
            : new ChildProcessException("pg_receivewal", exitCode, stderr);
    }

    private BackupException Gap(string what) => new(
        ErrorKind.Verification,
        what,
        $"the stream has a gap: shbackup wal-archive receive --drop-slot --slot {options.Slot.Name}, start the receiver again, and take a new "
        + "physical backup; what archive_command archived is not concerned (shbackup wal-archive verify)");
}
