using System.Collections.Concurrent;
using System.Globalization;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A log that keeps what was written to it.</summary>
internal sealed class RecordingLog : ILogEventSink
{
    private readonly ConcurrentQueue<LogEvent> _events = new();

    public RecordingLog() => Log = new LoggerConfiguration().MinimumLevel.Debug().WriteTo.Sink(this).CreateLogger();

    public ILogger Log { get; }

    public IReadOnlyList<string> Messages(LogEventLevel level) =>
        _events.Where(e => e.Level == level).Select(static e => e.RenderMessage(CultureInfo.InvariantCulture)).ToList();

    public void Emit(LogEvent logEvent) => _events.Enqueue(logEvent);
}
