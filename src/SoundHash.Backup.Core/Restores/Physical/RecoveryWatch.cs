using System.Globalization;
using System.Text;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>How far a recovering server is.</summary>
/// <param name="Segment">The last segment that came from the archive, or null.</param>
/// <param name="Segments">How many came.</param>
/// <param name="Expected">How many there are, at most.</param>
/// <param name="SegmentsPerSecond">How fast.</param>
/// <param name="Replayed">The replayed position and the time of the last replayed transaction, where the server tells them.</param>
public sealed record ReplayProgress(string? Segment, int Segments, int Expected, double SegmentsPerSecond, string? Replayed);

/// <summary>Starts a restored server and follows its recovery to its target.</summary>
internal sealed class RecoveryWatch(PreparedRestore ready, RecoveringServer server, TimeProvider time, ILogger log)
{
    private const string Query =
        "SELECT coalesce(pg_last_wal_replay_lsn()::text, ''), coalesce(pg_last_xact_replay_timestamp()::text, '')";

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BetweenQueries = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan MostForStream = TimeSpan.FromSeconds(60);

    // A primary that lacks the log says so at once, after the start of the stream.
    private static readonly TimeSpan SurelyStreams = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan MostForFirstSign = TimeSpan.FromSeconds(10);

    private readonly ServerLogReader _news = new();
    private readonly StringBuilder _unread = new();
    private readonly long _started = time.GetTimestamp();
    private string? _replayed;
    private long _asked;
    private (int Segments, string? Replayed, bool IsReadable) _sign;
    private long _signAt;
    private long? _streamingSince;

    /// <summary>Starts the server, and returns when it is where it was to be.</summary>
    /// <param name="outside">Configuration from outside the data directory, where it is now.</param>
    /// <param name="owner">Whom the log is given to.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancel">Ends the watching; the server goes on.</param>
    /// <exception cref="BackupException">The server ended, or reached less than it was to.</exception>
    public async Task<ReachedMoment> RunAsync(
        IReadOnlyList<(string From, string To)> outside, DataOwner? owner, Action<ReplayProgress> progress, CancellationToken cancel)
    {
        var path = MakeLog(owner);
        log.Information("starting the server; its log is {Path:l}", path);
        try
        {
            await server.StartAsync(path, outside, cancel);
            using var lines = new StreamReader(path, Encoding.UTF8);
            using var timer = new PeriodicTimer(Interval, time);
            while (true)
            {
                Read(lines);
                await AskAsync(cancel);
                progress(Progress());
                if (HasArrived())
                {
                    return await ReachedAsync(path, cancel);
                }

                EnsureAlive(path);
                await timer.WaitForNextTickAsync(cancel);
            }
        }
        catch (OperationCanceledException e)
        {
            throw new BackupException(
                ErrorKind.Cancelled,
                $"cancelled: set {ready.Set.Id} is restored to {ready.TargetDirectory}, and its server goes on recovering",
                $"its log is {path}; pg_ctl -D {ShellText.Word(ready.TargetDirectory)} stop ends it",
                e);
        }
        catch (BackupException e)
        {
            throw new BackupException(
                e.Kind, $"set {ready.Set.Id} is restored to {ready.TargetDirectory}, but {e.Message}", e.Hint ?? $"see its log: {path}", e);
        }
    }

    private string MakeLog(DataOwner? owner)
    {
        var writer = new DataWriter(ready.TargetDirectory, owner);
        writer.MakeDirectory("log");
        var name = string.Create(CultureInfo.InvariantCulture, $"log/shbackup-restore-{time.GetUtcNow():yyyyMMdd_HHmmss}.log");
        File.Delete(writer.PathOf(name));
        writer.Write(name, []);
        return writer.PathOf(name);
    }

    // Of the last line there may be only the beginning yet.
    private void Read(StreamReader log)
    {
        var lines = _unread.Append(log.ReadToEnd()).ToString().Split('\n');
        _unread.Clear().Append(lines[^1]);
        foreach (var line in lines[..^1])
        {
            _news.Read(line);
        }
    }

    private bool HasArrived() => _news.IsPaused || _news.IsPromoted || (_news.IsShutDown && !server.IsAlive())
        || (ready.Options.Standby is not null && _news is { IsReadable: true, IsStreaming: true }
            && _streamingSince is { } since && time.GetElapsedTime(since) > SurelyStreams);

    private void EnsureAlive(string path)
    {
        EnsureStreams(path);
        if (_news.HeldBy is { } why)
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"its recovery pauses before its target: {why}",
                $"stop the server, set that at least as high in {ready.TargetDirectory}/{RecoverySettings.File}, and start it; its log is {path}");
        }

        if (!server.IsAlive() && !_news.IsShutDown && (_news.HasEnded || _news.Fatal.Count > 0 || time.GetElapsedTime(_started) > MostForFirstSign))
        {
            var fatal = _news.Fatal.Count > 0 ? string.Join("; ", _news.Fatal.TakeLast(3)) : "its log does not say why";
            var isPortTaken = _news.Fatal.Any(static f => f.Contains("lock file", StringComparison.Ordinal) || f.Contains("sockets", StringComparison.Ordinal));
            throw new BackupException(
                ErrorKind.ChildFailed,
                $"its server ended: {fatal}{(_news.CommandError is { } said ? $"; restore_command said: {said}" : string.Empty)}",
                isPortTaken
                    ? $"another server has its port: pg_ctl -D {ShellText.Word(ready.TargetDirectory)} -o '-p PORT' start, as the owner of its files, starts it on "
                        + "another one, as --port PORT would have"
                    : $"{(_news.CommandError is null ? string.Empty : "shbackup wal-archive verify says what of the archive is missing or damaged; ")}see its log: {path}");
        }
    }

    // It goes on by itself when its primary is there again; but what was asked for is a standby, and it may never become one.
    private void EnsureStreams(string path)
    {
        _streamingSince = _news.IsStreaming ? _streamingSince ?? time.GetTimestamp() : null;
        if (_sign != (_news.Segments, _replayed, _news.IsReadable))
        {
            (_sign, _signAt) = ((_news.Segments, _replayed, _news.IsReadable), time.GetTimestamp());
        }

        var isSilent = _news.IsReadable && time.GetElapsedTime(_signAt) > MostForStream;
        if (ready.Options.Standby is { } primary && server.IsAlive() && !_news.IsStreaming && (_news.NotStreaming is not null || isSilent))
        {
            throw new BackupException(
                ErrorKind.ChildFailed,
                $"its server, a standby that replays the archive, does not stream from its primary ({primary}): "
                    + (_news.NotStreaming ?? string.Create(CultureInfo.InvariantCulture, $"nothing came for {MostForStream.TotalSeconds} s")),
                $"it goes on trying: let the primary accept it (pg_hba.conf, a .pgpass file of the server's user), or correct primary_conninfo in "
                    + $"{ready.TargetDirectory}/{RecoverySettings.File}, and reload it; its log is {path}");
        }
    }

    private async Task AskAsync(CancellationToken cancel)
    {
        if (_news.IsReadable && (_replayed is null || time.GetElapsedTime(_asked) > BetweenQueries))
        {
            _asked = time.GetTimestamp();
            _replayed = await server.TryQueryAsync(Query, cancel) ?? string.Empty;
        }
    }

    private ReplayProgress Progress()
    {
        var seconds = time.GetElapsedTime(_started).TotalSeconds;
        return new ReplayProgress(
            _news.Segment,
            _news.Segments,
            ready.Chosen.Span.Segments.Count,
            seconds > 0 ? _news.Segments / seconds : 0,
            string.IsNullOrEmpty(_replayed) ? null : _replayed.Replace('|', ' '));
    }

    private async Task<ReachedMoment> ReachedAsync(string path, CancellationToken cancel)
    {
        EnsureReachedEnd(path);
        await EnsureOwnSettingsAsync(cancel);
        var answer = _news.IsShutDown ? null : await server.TryQueryAsync(Query, cancel);
        var (lsn, transaction) = answer?.Split('|') is [var first, var second] ? (first, second) : (string.Empty, string.Empty);
        var state = _news.IsPromoted ? "takes writes" : _news.IsShutDown ? "is shut down" : _news.IsPaused ? "pauses" : "follows its primary";
        return new ReachedMoment(
            state,
            lsn.Length > 0 ? lsn : _news.RedoDone,
            transaction.Length > 0 ? transaction : _news.LastTransaction,
            _news.StoppedAt);
    }

    // A restore_command that fails in a way that PostgreSQL takes for the end of the archive would end the recovery too early.
    private void EnsureReachedEnd(string path)
    {
        var last = ready.Chosen.Span.Segments[^1];
        if (ready.Options is { Standby: null, Target.Kind: RecoveryTargetKind.End } && Lsn.TryParse(_news.RedoDone, out var done) && done < last.Start)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"its recovery ended at {done}, before segment {last} of the archive: do not use it",
                $"see why restore_command did not bring what is there: {path}");
        }
    }

    // Whatever gives settings after postgresql.auto.conf, such as a pg_ctl of somebody's own, recovers to somewhere else.
    private async Task EnsureOwnSettingsAsync(CancellationToken cancel)
    {
        var options = ready.Options;
        if (options is { Standby: null, Target.Kind: not RecoveryTargetKind.End } && _news.StoppedAt is null)
        {
            throw new BackupException(
                ErrorKind.Verification, $"its recovery never stopped at {options.Target}: do not use it", "see what gives it other settings than postgresql.auto.conf");
        }

        var values = RecoverySettings.Make(ready).Select(static s => $"({SqlText.Literal(s.Name)}, {SqlText.Literal(s.Value)})");
        var other = _news.IsShutDown ? null : await server.TryQueryAsync(
            "SELECT s.name || ' = ''' || s.setting || ''' (' || s.source || coalesce(', ' || s.sourcefile, '') || ')' FROM pg_catalog.pg_settings s "
            + $"JOIN (VALUES {string.Join(", ", values)}) AS ours (name, value) ON s.name = ours.name AND s.setting <> ours.value",
            cancel);
        if (!string.IsNullOrEmpty(other))
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"its recovery did not have the settings of this restore, but {other.ReplaceLineEndings(", ")}: do not use it",
                $"see what overrides {ready.TargetDirectory}/{RecoverySettings.File}, and restore again");
        }
    }
}
