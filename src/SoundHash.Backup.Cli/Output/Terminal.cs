using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Output;

/// <summary>
/// Results on stdout; everything else on stderr, where a status line may stand at the bottom. Nothing reaches either
/// with a control character in it: a name in a manifest or a message of a server must not steer the terminal.
/// </summary>
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

    /// <summary>Columns that the status line may take: one less than there are, since behind the last one some terminals wrap.</summary>
    public static int ColumnsOf(Func<int> windowWidth)
    {
        const int Usual = 80;
        try
        {
            return (windowWidth() is > 1 and var columns ? columns : Usual) - 1;
        }
        catch (Exception e) when (e is IOException or PlatformNotSupportedException)
        {
            return Usual - 1;
        }
    }

    /// <summary>Columns for the status line now; a person may change the window at any time.</summary>
    public static int StatusWidth => ColumnsOf(static () => Console.WindowWidth);

    /// <summary>Writes a line of the result.</summary>
    public void Line(string text) => Write(Safe(text));

    /// <summary>Writes a result of several lines.</summary>
    public void Document(string text) => Write(Safe(text, keepLines: true));

    /// <summary>Writes a line for people.</summary>
    public void ErrorLine(string text) => RawErrorLine(Safe(text));

    /// <summary>Writes lines that may hold colours of ours; anything else in them went through <see cref="Safe"/>.</summary>
    public void RawErrorLine(string text) => ToStderr(() =>
    {
        Erase();
        error.WriteLine(text);
        Draw();
    });

    /// <summary>Replaces the status line; an empty text removes it.</summary>
    public void Status(string text) => ToStderr(() =>
    {
        // Only one row can be erased again.
        var (safe, width) = (Safe(text), StatusWidth);
        Erase();
        _status = safe.Length > width ? safe[..width] : safe;
        Draw();
    });

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

    /// <summary>Shows characters that steer a terminal as '?': control characters, and those that change the direction of text.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="keepLines">True keeps line feeds and tabs.</param>
    public static string Safe(string text, bool keepLines = false)
    {
        bool IsUnsafe(char c) => char.IsControl(c)
            ? !keepLines || c is not ('\n' or '\t')
            : c is (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069') or '\u2028' or '\u2029';
        return text.Any(IsUnsafe) ? new string(text.Select(c => IsUnsafe(c) ? '?' : c).ToArray()) : text;
    }

    private void Write(string text)
    {
        lock (_lock)
        {
            ToStderr(Erase);
            try
            {
                output.WriteLine(text);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // What .NET makes of a descriptor that can't be written to says something about a path.
                var why = e is IOException ? e.Message : "it is closed";
                throw new BackupException(ErrorKind.Failed, $"can't write the result to stdout: {why}", inner: e);
            }

            ToStderr(Draw);
        }
    }

    // A terminal that was closed (and sent SIGHUP for it) must not keep the verb from undoing what is half done.
    private void ToStderr(Action write)
    {
        lock (_lock)
        {
            try
            {
                write();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                _status = string.Empty;
            }
        }
    }

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
