using System.Text;
using Serilog;

namespace SoundHash.Backup.Processes;

/// <summary>Drains a child's stderr to its end, logs it line by line at debug, and keeps the last 64 KiB.</summary>
internal sealed class StderrTail(string tool, ILogger log)
{
    private const int Limit = 64 * 1024;
    private readonly StringBuilder _kept = new();

    public override string ToString()
    {
        lock (_kept)
        {
            return _kept.ToString();
        }
    }

    public async Task DrainAsync(StreamReader stderr)
    {
        try
        {
            while (await stderr.ReadLineAsync() is { } line)
            {
                log.Debug("{Tool}: {Line}", tool, line);
                Keep(line);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The pipe was closed under us while the child was being ended: what was kept is all there is.
            log.Debug("{Tool}: stderr closed early", tool);
        }
    }

    private void Keep(string line)
    {
        lock (_kept)
        {
            _kept.Append(line.Length > Limit ? line[..Limit] : line).Append('\n');
            if (_kept.Length > Limit)
            {
                _kept.Remove(0, _kept.Length - Limit);
            }
        }
    }
}
