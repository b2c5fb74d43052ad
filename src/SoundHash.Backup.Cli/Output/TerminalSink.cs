using System.Globalization;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;

namespace SoundHash.Backup.Cli.Output;

/// <summary>Writes log events to stderr, above the status line.</summary>
internal sealed class TerminalSink(Terminal terminal) : ILogEventSink
{
    private readonly MessageTemplateTextFormatter _format = new("{Timestamp:HH:mm:ss} {Message:lj}{NewLine}{Exception}", CultureInfo.InvariantCulture);

    public void Emit(LogEvent logEvent)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        _format.Format(logEvent, text);
        var word = logEvent.Level switch
        {
            LogEventLevel.Debug => "debug ",
            LogEventLevel.Warning => Colored("warning: ", 33),
            >= LogEventLevel.Error => Colored("error: ", 31),
            _ => string.Empty,
        };
        var line = Terminal.Safe(text.ToString().TrimEnd());
        terminal.RawErrorLine(line.Insert(9, word));
    }

    private string Colored(string text, int code) => terminal.HasColor ? $"\e[{code}m{text}\e[0m" : text;
}
