using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Backups;

/// <summary>
/// The pg_dumps of a backup, of which some run before it is their turn to be read. A pg_dump locks its tables when it begins:
/// one that began late would queue behind whoever came to change its table in the meantime and waits for the backup's own
/// lock, and would fail the backup at its end. Those whose turn has not come hold their locks, and stand still when their
/// pipe is full.
/// </summary>
/// <param name="streams">In the order of their turns.</param>
/// <param name="start">Starts one.</param>
internal sealed class DumpQueue(IEnumerable<DumpStream> streams, Func<DumpStream, ChildProcess> start) : IAsyncDisposable
{
    // Each is a connection, and some megabytes here and in the server.
    private const int AheadAtMost = 12;

    private readonly List<DumpStream> _later = [.. streams];
    private readonly Dictionary<DumpStream, ChildProcess> _ahead = [];

    /// <summary>Hands over a pg_dump, which the caller then disposes, and starts what may run ahead.</summary>
    public ChildProcess Take(DumpStream stream)
    {
        lock (_later)
        {
            if (!_ahead.Remove(stream, out var taken))
            {
                _later.Remove(stream);
                taken = start(stream);
            }

            while (_ahead.Count < AheadAtMost && _later.Count > 0)
            {
                _ahead.Add(_later[0], start(_later[0]));
                _later.RemoveAt(0);
            }

            return taken;
        }
    }

    /// <summary>Ends those whose turn never came.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var dump in _ahead.Values)
        {
            await dump.DisposeAsync();
        }
    }
}
