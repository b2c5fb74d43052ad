namespace SoundHash.Backup.Cli.Output;

/// <summary>Results on stdout; everything else on stderr, where a status line may stand at the bottom.</summary>
internal sealed class Terminal(TextWriter output, TextWriter error, bool noColor)
{
    private readonly Lock _lock = new();
    private string _status = string.Empty;

    /// <summary>True when stderr is a terminal that can redraw a line.</summary>
    public bool IsInteractive { get; } = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "dumb");

    /// <summary>True when a person can answer.</summary>
    public bool CanAsk { get; } = !Console.IsInputRedirected && !Console.IsErrorRedirected;

    /// <summary>True when stderr may have colours.</summary>
    public bool HasColor => IsInteractive && !noColor && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    /// <summary>Writes a line of the result.</summary>
    public void Line(string text)
    {
        lock (_lock)
        {
            Erase();
            output.WriteLine(Safe(text));
            Draw();
        }
    }

    /// <summary>Writes a line for people.</summary>
    public void ErrorLine(string text) => RawErrorLine(Safe(text));

    /// <summary>Writes a line that may hold colours of ours; anything else in it went through <see cref="Safe"/>.</summary>
    public void RawErrorLine(string text)
    {
        lock (_lock)
        {
            Erase();
            error.WriteLine(text);
            Draw();
        }
    }

    /// <summary>Replaces the status line; an empty text removes it.</summary>
    public void Status(string text)
    {
        lock (_lock)
        {
            Erase();
            _status = text;
            Draw();
        }
    }

    /// <summary>Asks a yes-or-no question; anything but "yes" is no.</summary>
    public bool Ask(string question)
    {
        lock (_lock)
        {
            Erase();
            error.Write($"{Safe(question)} Type yes to go on: ");
            error.Flush();
            return string.Equals(Console.In.ReadLine()?.Trim(), "yes", StringComparison.OrdinalIgnoreCase);
        }
    }

    /// <summary>Shows control characters as '?': a name in a manifest or a message of a server must not steer the terminal.</summary>
    public static string Safe(string text) =>
        text.Any(IsUnsafe) ? new string(text.Select(static c => IsUnsafe(c) ? '?' : c).ToArray()) : text;

    private static bool IsUnsafe(char c) => char.IsControl(c) && c is not ('\n' or '\r' or '\t');

    private void Erase()
    {
        if (_status.Length > 0)
        {
            error.Write("\r\e[K");
        }
    }

    private void Draw()
    {
        if (_status.Length > 0)
        {
            error.Write(_status);
            error.Flush();
        }
    }
}
