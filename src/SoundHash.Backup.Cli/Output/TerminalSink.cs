using System.Globalization;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;

namespace SoundHash.Backup.Cli.Output;

/// <summary>Writes log events to stderr, above the status line.</summary>
internal sealed class TerminalSink(Terminal terminal) : ILogEventSink
{
    private readonly MessageTemplateTextFormatter _time = new("{Timestamp:HH:mm:ss} ", CultureInfo.InvariantCulture);
    private readonly MessageTemplateTextFormatter _message = new("{Message:lj}", CultureInfo.InvariantCulture);

    public void Emit(LogEvent logEvent)
    {
        var word = logEvent.Level switch
        {
            LogEventLevel.Debug => "debug ",
            LogEventLevel.Warning => Colored("warning: ", 33),
            >= LogEventLevel.Error => Colored("error: ", 31),
            _ => string.Empty,
        };
        var stack = logEvent.Exception is null ? string.Empty : $"\n{Terminal.Safe(logEvent.Exception.ToString(), keepLines: true)}";
        terminal.RawErrorLine($"{Format(_time, logEvent)}{word}{Terminal.Safe(Format(_message, logEvent).TrimEnd())}{stack}");
    }

    private static string Format(MessageTemplateTextFormatter formatter, LogEvent logEvent)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        formatter.Format(logEvent, text);
        return text.ToString();
    }

    private string Colored(string text, int code) => terminal.HasColor ? $"\e[{code}m{text}\e[0m" : text;
}
