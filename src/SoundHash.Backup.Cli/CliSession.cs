using System.Collections;
using System.CommandLine;
using System.Globalization;
using Serilog;
using Serilog.Events;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Cli;

/// <summary>What every verb works with: settings, log, clock, child programs, and where results go.</summary>
internal sealed class CliSession : IDisposable
{
    private readonly ParseResult _parse;
    private readonly CommonOptions _common;
    private readonly Serilog.Core.Logger _log;

    public CliSession(ParseResult parse, CommonOptions common)
    {
        _parse = parse;
        _common = common;
        Terminal = new Terminal(parse.InvocationConfiguration.Output, parse.InvocationConfiguration.Error, parse.GetValue(common.NoColor));
        _log = MakeLog();
        Launcher = new ProcessLauncher(_log);
    }

    public ILogger Log => _log;

    public TimeProvider Time { get; } = TimeProvider.System;

    public ProcessLauncher Launcher { get; }

    public Terminal Terminal { get; }

    public bool Json => _parse.GetValue(_common.Json);

    /// <summary>Settings with the values that the command line gave.</summary>
    public SettingsReader Settings(params (string Name, string? Value)[] flags)
    {
        var path = _parse.GetValue(_common.EnvFile) ?? (File.Exists(".env") ? ".env" : null);
        var file = path is null ? null : EnvFile.Read(path);
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(static e => (string)e.Key, static e => (string?)e.Value ?? string.Empty);
        var reader = new SettingsReader(flags.ToDictionary(static f => f.Name, static f => f.Value), environment, file);
        foreach (var name in reader.UnknownNames)
        {
            _log.Warning("unknown setting {Name} is ignored", name);
        }

        return reader;
    }

    /// <summary>Prints a result: as JSON when asked for, else as text.</summary>
    public void Print<T>(T result, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, Action<Terminal, T> asText)
    {
        if (Json)
        {
            Terminal.Line(System.Text.Json.JsonSerializer.Serialize(result, type));
        }
        else
        {
            asText(Terminal, result);
        }
    }

    /// <summary>Prints an error: one line and its hint on stderr, and as the JSON document when that was asked for.</summary>
    /// <returns>The exit code.</returns>
    public int Report(BackupException error)
    {
        var code = ExitCodes.For(error.Kind);
        _log.Debug(error, "exit code {Code}", code);
        ReportLines(error);
        if (Json)
        {
            Terminal.Line(System.Text.Json.JsonSerializer.Serialize(
                new ErrorDocument(ErrorResult.Of(error)), ResultJson.Default.ErrorDocument));
        }

        return code;
    }

    /// <summary>Prints an error on stderr only.</summary>
    public void ReportLines(BackupException error)
    {
        Terminal.ErrorLine($"error: {OneLine(error.Message)}");
        if (error.Hint is not null)
        {
            Terminal.ErrorLine($"hint: {OneLine(error.Hint)}");
        }
    }

    public void Dispose() => _log.Dispose();

    private static string OneLine(string text) =>
        string.Join(' ', text.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private Serilog.Core.Logger MakeLog()
    {
        var level = _parse.GetValue(_common.LogLevel) switch
        {
            "debug" => LogEventLevel.Debug,
            "warning" => LogEventLevel.Warning,
            "error" => LogEventLevel.Error,
            _ => LogEventLevel.Information,
        };
        var configuration = new LoggerConfiguration().MinimumLevel.Is(level).WriteTo.Sink(new TerminalSink(Terminal));
        if (_parse.GetValue(_common.LogFile) is { } path)
        {
            configuration.WriteTo.File(
                path,
                formatProvider: CultureInfo.InvariantCulture,
                outputTemplate: "{Timestamp:yyyy-MM-ddTHH:mm:ss.fffzzz} {Level:u4} {Message:lj}{NewLine}{Exception}");
        }

        return configuration.CreateLogger();
    }
}
