using System.Collections;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Serilog;
using Serilog.Events;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Cli;

/// <summary>What every verb works with: settings, log, clock, child programs, and where results go.</summary>
internal sealed class CliSession : IDisposable
{
    private static readonly string[] OfClouds = ["AWS_", "GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"];

    private readonly ParseResult _parse;
    private readonly CommonOptions _common;
    private readonly Serilog.Core.Logger _log;
    private readonly List<Action> _atEnd = [];

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
    public SettingsReader Settings(params SettingFlag[] flags)
    {
        var file = _parse.GetValue(_common.EnvFile) is { } path ? EnvFile.Read(path) : EnvFile.OfWorkingDirectory();
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(static e => (string)e.Key, static e => (string?)e.Value ?? string.Empty);
        ExportForClouds(file);
        return new SettingsReader(flags, environment, file, warning => _log.Warning("{Warning:l}", warning));
    }

    // Who we are for a cloud is its own library's to find out, which looks at variables only; PostgreSQL's commands have none but the file's.
    private void ExportForClouds(EnvFile? file)
    {
        foreach (var (name, value) in file?.Values ?? new Dictionary<string, string>())
        {
            if (OfClouds.Any(c => name.StartsWith(c, StringComparison.Ordinal)) && string.IsNullOrEmpty(Environment.GetEnvironmentVariable(name)))
            {
                Environment.SetEnvironmentVariable(name, value);
                // A server that we start, or a hook, has no business with them.
                Launcher.Hide(name);
            }
        }
    }

    /// <summary>Measures what a verb moves, and slows it down to BACKUP_RATE_LIMIT.</summary>
    public TransferMeter Meter(SettingsReader settings) => new(Time, settings.Bytes("BACKUP_RATE_LIMIT"));

    /// <summary>PostgreSQL's programs.</summary>
    public PgToolFinder Tools(SettingsReader settings) => new(Launcher, Log, settings.PathOf("PG_BIN_DIR"));

    /// <summary>The programs that encrypt and decrypt.</summary>
    public EncryptionProviders Providers(EncryptionSettings encryption) => new(Launcher, Time, encryption);

    /// <summary>Prints a result: as JSON when asked for, else as text.</summary>
    public void Print<T>(T result, JsonTypeInfo<T> type, Action<Terminal, T> asText)
    {
        if (Json)
        {
            Terminal.Document(JsonSerializer.Serialize(result, type));
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
        Terminal.Report(error, Json);
        return code;
    }

    /// <summary>Prints an error on stderr only.</summary>
    public void ReportLines(BackupException error) => Terminal.ReportLines(error);

    /// <summary>Makes sure that the file of --log-file can be written: the logger itself would go on without it in silence.</summary>
    /// <exception cref="BackupException">It can't.</exception>
    public void EnsureLogFile()
    {
        if (_parse.GetValue(_common.LogFile) is not { } path)
        {
            return;
        }

        try
        {
            using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BackupException(ErrorKind.Configuration, $"can't write the log file {path}: {e.Message}", "correct --log-file, or make its directory", e);
        }
    }

    /// <summary>Does something when the verb has ended, however it did.</summary>
    public void AtEnd(Action action)
    {
        lock (_atEnd)
        {
            _atEnd.Add(action);
        }
    }

    public void Dispose()
    {
        _atEnd.ForEach(static a => a());
        _log.Dispose();
    }

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
        // The sink would make the directory of a mistyped path.
        if (_parse.GetValue(_common.LogFile) is { } path && Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
        {
            configuration.WriteTo.File(
                path,
                formatProvider: CultureInfo.InvariantCulture,
                outputTemplate: "{Timestamp:yyyy-MM-ddTHH:mm:ss.fffzzz} {Level:u4} {Message:lj}{NewLine}{Exception}");
        }

        return configuration.CreateLogger();
    }
}
