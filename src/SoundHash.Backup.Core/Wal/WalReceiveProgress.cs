using System.Globalization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Wal;

/// <summary>How far the log has come on its way into the archive. Used by the stream and the uploads at the same time.</summary>
public sealed class WalReceiveProgress(TimeProvider time)
{
    // An hour of the server's positions, one a second: how old the oldest is that the archive lacks is how much could be lost.
    private const int MostSamples = 3600;
    private readonly Lock _lock = new();
    private readonly Queue<(long When, Lsn Position)> _ahead = new();
    private Lsn? _received;
    private Lsn? _archived;
    private Lsn? _pieced;
    private Lsn? _server;
    private int _reconnects;
    private string? _trouble;

    /// <summary>Up to here the stream has been written to the local folder; null when nothing streams or nothing is known yet.</summary>
    public Lsn? Received
    {
        get
        {
            lock (_lock)
            {
                return _received;
            }
        }
    }

    /// <summary>The server and its receiver were looked at.</summary>
    public void Saw(SlotState state)
    {
        lock (_lock)
        {
            _received = state.Written;
            _server = state.Server ?? _server;
            if (state.Server is { } server && _ahead.Count < MostSamples && server > Max(_archived, _pieced))
            {
                _ahead.Enqueue((time.GetTimestamp(), server));
            }
        }
    }

    /// <summary>The stream ended: until it is seen again, nothing is known of what is written.</summary>
    public void Lost()
    {
        lock (_lock)
        {
            _received = null;
            _reconnects++;
        }
    }

    /// <summary>Whole segments are in the archive up to here.</summary>
    public void Archived(Lsn end) => Durable(ref _archived, end);

    /// <summary>Pieces are in the archive up to here.</summary>
    public void Pieced(Lsn end) => Durable(ref _pieced, end);

    /// <summary>Something stands in the way of archiving; null when it does no more.</summary>
    public void Trouble(string? what)
    {
        lock (_lock)
        {
            _trouble = what;
        }
    }

    /// <summary>Bytes of the server's log that the archive lacks; null before both are known.</summary>
    public long? BytesBehind
    {
        get
        {
            lock (_lock)
            {
                return _server is { } server && (_archived ?? _pieced) is not null
                    ? (long)(server.Value - Math.Min(Max(_archived, _pieced).Value, server.Value))
                    : null;
            }
        }
    }

    /// <summary>How long ago the server was where the archive is now: what would be lost if the server and this host were.</summary>
    public TimeSpan Behind
    {
        get
        {
            lock (_lock)
            {
                return _ahead.TryPeek(out var oldest) ? time.GetElapsedTime(oldest.When) : TimeSpan.Zero;
            }
        }
    }

    /// <summary>The status line.</summary>
    public override string ToString()
    {
        var (bytes, behind) = (BytesBehind, Behind);
        lock (_lock)
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"server {Text(_server)}, received {Text(_received)}, archived {Text(_archived)}, pieces {Text(_pieced)}; "
                + $"behind by {(bytes is { } b ? $"{b} bytes" : "?")}, {behind.TotalSeconds:0} s; {_reconnects} reconnects"
                + $"{(_trouble is null ? string.Empty : $"; {_trouble}")}");
        }
    }

    private void Durable(ref Lsn? field, Lsn end)
    {
        lock (_lock)
        {
            field = Max(field, end);
            var durable = Max(_archived, _pieced);
            while (_ahead.TryPeek(out var oldest) && oldest.Position <= durable)
            {
                _ahead.Dequeue();
            }
        }
    }

    private static Lsn Max(Lsn? a, Lsn? b) => (a ?? default) > (b ?? default) ? a ?? default : b ?? default;

    private static string Text(Lsn? position) => position?.ToString() ?? "-";
}
