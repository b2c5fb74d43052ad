using Serilog;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// What PostgreSQL's programs said though they succeeded: pg_dump, for one, names there what it left out. Each line is logged and
/// kept once, though several streams say it.
/// </summary>
internal sealed class ToolWarnings(ILogger log)
{
    private readonly Lock _lock = new();
    private readonly List<string> _lines = [];

    /// <summary>The lines so far.</summary>
    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_lock)
            {
                return [.. _lines];
            }
        }
    }

    /// <summary>Takes what a child said that has succeeded.</summary>
    public void Add(ChildProcess child)
    {
        foreach (var line in child.Warnings)
        {
            Add(line);
        }
    }

    /// <summary>Takes a line of our own.</summary>
    public void Add(string line)
    {
        lock (_lock)
        {
            if (_lines.Contains(line))
            {
                return;
            }

            _lines.Add(line);
        }

        log.Warning("{Line}", line);
    }

    /// <summary>Takes lines that are logged already.</summary>
    public void AddLogged(IEnumerable<string> lines)
    {
        lock (_lock)
        {
            _lines.AddRange(lines.Except(_lines));
        }
    }
}
