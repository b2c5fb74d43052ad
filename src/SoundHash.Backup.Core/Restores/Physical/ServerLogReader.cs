using System.Text.RegularExpressions;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// What the log of a recovering server has said so far, in the words of src/backend/access/transam/xlogrecovery.c and xlog.c (13 to
/// 18, lc_messages = C). The log tells it whoever may connect, and also of a server that takes no connections.
/// </summary>
public sealed partial class ServerLogReader
{
    private readonly List<string> _fatal = [];
    private string? _detail;

    /// <summary>Segments that came from the archive.</summary>
    public int Segments { get; private set; }

    /// <summary>The last of them.</summary>
    public string? Segment { get; private set; }

    /// <summary>The server answers queries though it recovers.</summary>
    public bool IsReadable { get; private set; }

    /// <summary>It reached its target and pauses.</summary>
    public bool IsPaused { get; private set; }

    /// <summary>It pauses before its target, since it can't go on with its settings; says why.</summary>
    public string? HeldBy { get; private set; }

    /// <summary>It takes writes.</summary>
    public bool IsPromoted { get; private set; }

    /// <summary>It reached its target and shut down for that.</summary>
    public bool IsShutDown { get; private set; }

    /// <summary>As a standby, it gets the log from its primary; said also where the primary then turns out not to have it.</summary>
    public bool IsStreaming { get; private set; }

    /// <summary>Why a standby last failed to get the log from its primary; or null. It tries again by itself.</summary>
    public string? NotStreaming { get; private set; }

    /// <summary>It said that it has ended.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Where it stopped at its target, in PostgreSQL's words; or null.</summary>
    public string? StoppedAt { get; private set; }

    /// <summary>The last record that was replayed; known when the recovery is over.</summary>
    public string? RedoDone { get; private set; }

    /// <summary>When the last transaction ended that was replayed; known when the recovery is over.</summary>
    public string? LastTransaction { get; private set; }

    /// <summary>Why it failed: the last lines of that kind.</summary>
    public IReadOnlyList<string> Fatal => _fatal;

    /// <summary>The last error of restore_command, in its own words; or null.</summary>
    public string? CommandError { get; private set; }

    /// <summary>Takes a line of the log.</summary>
    public void Read(string line)
    {
        if (Severity().Match(line) is not { Success: true } match)
        {
            // What restore_command says goes there as it is.
            CommandError = line.StartsWith("error: ", StringComparison.Ordinal) ? line["error: ".Length..] : CommandError;
            return;
        }

        var text = match.Groups["text"].Value.Trim();
        var severity = match.Groups["severity"].Value;
        if (severity is "WARNING" or "DETAIL")
        {
            _detail = text;
            return;
        }

        if (match.Groups["severity"].Value is "FATAL" or "PANIC")
        {
            _fatal.Add(text);
            // Not what a client of its own is refused with (src/backend/replication/walreceiver.c, libpqwalreceiver.c).
            if (text.Contains("primary", StringComparison.Ordinal) || text.Contains("WAL", StringComparison.Ordinal))
            {
                (IsStreaming, NotStreaming) = (false, text);
            }

            return;
        }

        if (Restored().Match(text) is { Success: true } restored)
        {
            Segments++;
            Segment = restored.Groups["segment"].Value;
        }
        else if (text.StartsWith("recovery stopping ", StringComparison.Ordinal))
        {
            StoppedAt = text;
        }
        else if (Done().Match(text) is { Success: true } done)
        {
            RedoDone = done.Groups["lsn"].Value;
        }
        else if (Last().Match(text) is { Success: true } last)
        {
            LastTransaction = last.Groups["time"].Value;
        }

        IsReadable |= text is "database system is ready to accept read-only connections" or "database system is ready to accept read only connections";
        HeldBy ??= text == "recovery has paused" ? _detail ?? "its log does not say why" : null;
        IsPaused |= text == "pausing at the end of recovery";
        IsStreaming |= text.StartsWith("started streaming WAL from primary", StringComparison.Ordinal);
        NotStreaming = IsStreaming ? null : NotStreaming;
        IsPromoted |= text == "database system is ready to accept connections";
        IsShutDown |= text == "shutdown at recovery target";
        HasEnded |= text == "database system is shut down";
    }

    // With the line prefix that the server is given, or before it knows it; a statement of somebody's in the log is neither.
    [GeneratedRegex(@"^(\S+ \S+ \S+ \[\d+\] )?(?<severity>LOG|FATAL|PANIC|WARNING|DETAIL):  (?<text>.*)$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Severity();

    [GeneratedRegex(@"^restored log file ""(?<segment>[0-9A-F]{24})"" from archive$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Restored();

    [GeneratedRegex(@"^redo done at (?<lsn>[0-9A-F]+/[0-9A-F]+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Done();

    [GeneratedRegex(@"^last completed transaction was at log time (?<time>.+)$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Last();
}
