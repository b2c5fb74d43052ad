using System.Text;
using Serilog;

namespace SoundHash.Backup.Processes;

/// <summary>
/// Drains a child's stderr to its end, logs it line by line at debug, and keeps the last 64 KiB. A line without end is
/// logged in pieces, so that no child can fill our memory.
/// </summary>
internal sealed class StderrTail(string tool, ILogger log)
{
    private const int Limit = 64 * 1024;
    private const int LongestLogLine = 8 * 1024;
    private const int MostLines = 100;
    private const int LongestLine = 1024;
    private readonly Lock _lock = new();
    private readonly char[] _ring = new char[Limit];
    private readonly StringBuilder _line = new();
    private readonly StatementMask _logged = new(tool);
    private long _total;

    /// <summary>What is kept, without the text of SQL statements, which may hold passwords.</summary>
    public override string ToString()
    {
        var mask = new StatementMask(tool);
        return string.Join('\n', Kept().Split('\n').Select(mask.Show).OfType<string>());
    }

    /// <summary>The last lines, without empty ones, each cut to a length that a log can bear.</summary>
    public IReadOnlyList<string> Lines()
    {
        lock (_lock)
        {
            // What the ring begins with, once it has gone round, is the rest of a line.
            return ToString().Split('\n').Skip(_total > Limit ? 1 : 0)
                .Select(static l => l.TrimEnd())
                .Where(static l => l.Length > 0)
                .Select(static l => l.Length > LongestLine ? $"{l[..LongestLine]} …" : l)
                .TakeLast(MostLines)
                .ToList();
        }
    }

    private string Kept()
    {
        lock (_lock)
        {
            var end = (int)(_total % Limit);
            return _total <= Limit ? new string(_ring, 0, (int)_total) : string.Concat(_ring.AsSpan(end), _ring.AsSpan(0, end));
        }
    }

    public async Task DrainAsync(StreamReader stderr)
    {
        var buffer = new char[4096];
        try
        {
            int read;
            while ((read = await stderr.ReadAsync(buffer)) > 0)
            {
                Keep(buffer.AsSpan(0, read));
                Log(buffer.AsSpan(0, read));
            }

            LogLine();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The pipe was closed under us while the child was being ended: what was kept is all there is.
            log.Debug("{Tool}: stderr closed early", tool);
        }
    }

    private void Keep(ReadOnlySpan<char> text)
    {
        lock (_lock)
        {
            foreach (var c in text)
            {
                _ring[_total++ % Limit] = c;
            }
        }
    }

    private void Log(ReadOnlySpan<char> text)
    {
        if (!log.IsEnabled(Serilog.Events.LogEventLevel.Debug))
        {
            return;
        }

        foreach (var part in text.Split('\n'))
        {
            // What comes before a part but the first is a line end.
            if (part.Start.Value > 0 || _line.Length > LongestLogLine)
            {
                LogLine();
            }

            _line.Append(text[part]);
        }
    }

    private void LogLine()
    {
        if (_line.Length > 0)
        {
            if (_logged.Show(_line.ToString().TrimEnd('\r')) is { } shown)
            {
                log.Debug("{Tool}: {Line}", tool, shown);
            }

            _line.Clear();
        }
    }
}
