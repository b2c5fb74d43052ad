using System.Globalization;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Configuration;

/// <summary>
/// Reads settings: flag over environment over .env file over default. Problems are collected, so that a person sees all
/// of them at once; only what a verb asks for is looked at.
/// </summary>
/// <param name="flags">The options of the command line that stand for settings.</param>
/// <param name="environment">The process environment.</param>
/// <param name="file">The .env file, if there is one.</param>
/// <param name="warn">Told what is odd and stops nothing, in one line.</param>
public sealed class SettingsReader(
    IReadOnlyCollection<SettingFlag> flags, IReadOnlyDictionary<string, string> environment, EnvFile? file, Action<string>? warn = null)
{
    private readonly List<string> _problems = [];
    private readonly List<string> _flagProblems = [];
    private readonly HashSet<string> _asked = [];
    private bool _saidUnknown;

    /// <summary>Names that begin like ours and are unknown, in the environment and in the file.</summary>
    public IReadOnlyList<string> UnknownNames { get; } =
        environment.Keys.Concat(file?.Values.Keys ?? []).Where(SettingNames.IsUnknown).Distinct().Order(StringComparer.Ordinal).ToList();

    /// <summary>Absolute path of the .env file in use, or null.</summary>
    public string? EnvFilePath => file?.Path;

    /// <summary>The value of a setting, or null when it is absent or empty.</summary>
    public string? Text(string name) => Given(name) ?? FromFile(name) ?? SettingNames.Find(name)?.Default;

    /// <summary>As <see cref="Text"/>, without the default.</summary>
    public string? Given(string name) => Lookup(name).Value;

    /// <summary>true or false; anything else is a problem.</summary>
    public bool Flag(string name)
    {
        var text = Text(name);
        switch (text?.ToLowerInvariant())
        {
            case "true" or "yes" or "on" or "1":
                return true;
            case null or "false" or "no" or "off" or "0":
                return false;
            default:
                Problem(name, text, "must be true or false");
                return false;
        }
    }

    /// <summary>A whole number within bounds, or null when absent.</summary>
    public int? Number(string name, int min, int max)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max)
        {
            return value;
        }

        Problem(name, text, $"must be a whole number from {min} to {max}");
        return null;
    }

    /// <summary>A size in bytes with an optional K, M or G (of 1024), or null when absent.</summary>
    public long? Bytes(string name)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        var shift = char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        var digits = shift == 0 ? text : text[..^1];
        if (long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            && value > 0 && value <= long.MaxValue >> shift)
        {
            return value << shift;
        }

        Problem(name, text, "must be bytes, with K, M or G if wanted, e.g. 50M");
        return null;
    }

    /// <summary>One of several words, lower-cased, or null when absent.</summary>
    public string? Choice(string name, params string[] allowed)
    {
        if (Text(name)?.ToLowerInvariant() is not { } text)
        {
            return null;
        }

        if (allowed.Contains(text))
        {
            return text;
        }

        Problem(name, text, $"must be {string.Join(" or ", allowed)}");
        return null;
    }

    /// <summary>
    /// A path made absolute: relative to the .env file's folder when it stands there or is the default of one that could, else to
    /// the working directory, which for PostgreSQL's commands is the data directory.
    /// </summary>
    public string? PathOf(string name)
    {
        var (value, fromFile) = Lookup(name);
        return value is null
            ? SettingNames.Find(name)?.Default is { } byDefault && byDefault.StartsWith('.') ? Absolute(byDefault, fromFile: file is not null) : null
            : Absolute(value, fromFile);
    }

    /// <summary>True when the value was given on the command line.</summary>
    public bool IsFlag(string name) => FlagOf(name) is not null;

    /// <summary>The setting and the option that stands for it, as a verb has one.</summary>
    public string NamesOf(string name) => OptionOf(name) is { } option ? $"{name} or {option}" : name;

    /// <summary>Values separated by commas or line ends, trimmed.</summary>
    public IReadOnlyList<string> List(string name) =>
        Text(name)?.Split([',', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];

    /// <summary>Paths separated by commas, made absolute.</summary>
    public IReadOnlyList<string> PathList(string name)
    {
        var fromFile = Lookup(name).FromFile;
        return List(name).Select(p => Absolute(p, fromFile)).ToList();
    }

    /// <summary>True when the value of a setting comes from the .env file and not from a flag or the environment.</summary>
    public bool ComesFromFile(string name) => Lookup(name).FromFile;

    /// <summary>Resolves a path that stands in a setting.</summary>
    public string Absolute(string path, bool fromFile) =>
        Path.GetFullPath(path, fromFile ? file!.Folder : Directory.GetCurrentDirectory());

    /// <summary>Records a problem with a setting; secrets are masked.</summary>
    public void Problem(string name, string? value, string what)
    {
        var shown = SettingNames.Find(name) is { Secret: true } ? "(hidden)" : $"'{value}'";
        if (value is not null && FlagOf(name) is { } flag)
        {
            _flagProblems.Add($"{flag.Option} {shown} {what}");
            return;
        }

        var option = OptionOf(name);
        _problems.Add(value is not null ? $"{name}={shown} {what}" : option is null ? $"{name} {what}" : $"{option} or {name} {what}");
    }

    /// <summary>Records a problem of the command line that is no setting's value.</summary>
    public void UsageProblem(string what) => _flagProblems.Add(what);

    /// <summary>True when a problem was recorded.</summary>
    public bool HasProblems => _problems.Count + _flagProblems.Count > 0;

    /// <summary>The names in capitals of further stores: of every <c>BACKUP_STORE_&lt;NAME&gt;_…</c> that is set.</summary>
    public IReadOnlyList<string> FurtherStores() => environment.Concat(file?.Values ?? new Dictionary<string, string>())
        .Where(static v => v.Value.Length > 0).Select(static v => v.Key).Select(SettingNames.FurtherStoreOf).OfType<string>().Distinct().Order(StringComparer.Ordinal).ToList();

    /// <summary>Tells of something odd that stops nothing. Never given a secret.</summary>
    public void Warn(string message) => warn?.Invoke(message);

    /// <summary>
    /// Throws when there were problems, else warns once of names that are unknown. A name that looks like a misspelt setting is one when the verb has asked for that
    /// setting and no flag gave it: so a verb reads all that it needs first.
    /// </summary>
    /// <exception cref="BackupException">All problems in one message.</exception>
    public void ThrowIfInvalid()
    {
        var typos = UnknownNames.Select(static n => (Name: n, Meant: SettingNames.Nearest(n)))
            .Where(t => t.Meant is not null && _asked.Contains(t.Meant) && !IsFlag(t.Meant))
            .Select(static t => $"{t.Name} is unknown; did you mean {t.Meant}?");
        var settings = _problems.Concat(typos).ToList();
        if (settings.Count + _flagProblems.Count == 0)
        {
            WarnOfUnknown();
            return;
        }

        var where = (_flagProblems.Count, settings.Count) switch
        {
            (_, 0) => "the command line",
            (0, _) => Surroundings,
            _ => $"the command line and {Surroundings}",
        };
        throw new BackupException(
            settings.Count == 0 ? ErrorKind.Usage : ErrorKind.Configuration,
            string.Join("; ", _flagProblems.Concat(settings)),
            $"correct {where}");
    }

    private void WarnOfUnknown()
    {
        foreach (var name in _saidUnknown ? [] : UnknownNames)
        {
            Warn($"unknown setting {name} is ignored");
        }

        _saidUnknown = true;
    }

    private string Surroundings => file is null ? "the environment" : $"the environment or {file.Path}";

    private string? OptionOf(string name) => flags.FirstOrDefault(f => f.Setting == name)?.Option;

    private SettingFlag? FlagOf(string name) => flags.FirstOrDefault(f => f.Setting == name && !string.IsNullOrEmpty(f.Value));

    private (string? Value, bool FromFile) Lookup(string name)
    {
        _asked.Add(name);
        if (FlagOf(name) is { } flag)
        {
            return (flag.Value, false);
        }

        if (environment.TryGetValue(name, out var variable) && variable.Length > 0)
        {
            return (variable, false);
        }

        return file is not null && file.Values.TryGetValue(name, out var value) && value.Length > 0 ? (value, true) : (null, false);
    }

    // A secret may stand in a file of its own: NAME_FILE.
    private string? FromFile(string name)
    {
        if (SettingNames.Find(name) is not { Secret: true } || Lookup($"{name}_FILE") is not ({ } path, var fromFile))
        {
            return null;
        }

        try
        {
            return File.ReadAllText(Absolute(path, fromFile)).TrimEnd('\r', '\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Problem($"{name}_FILE", path, $"can't be read: {e.Message}");
            return null;
        }
    }
}
