namespace SoundHash.Backup.Processes;

/// <summary>A program to run. Arguments are passed as a list and never through a shell; secrets go by environment or file.</summary>
/// <param name="Program">Absolute path of the program.</param>
/// <param name="Arguments">The arguments, as the program is to see them.</param>
public sealed record ChildCommand(string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>Variables added to our own environment; a null value removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>The child's working directory; null is ours.</summary>
    public string? Directory { get; init; }

    /// <summary>
    /// True keeps the child on our terminal, so that it can ask for a passphrase. Otherwise it gets a session of its
    /// own: it can't prompt, Ctrl-C reaches only us, and its whole process group can be ended.
    /// </summary>
    public bool KeepTerminal { get; init; }

    /// <summary>True for a program that may stop reading before its input ends without that being a failure.</summary>
    public bool MayCloseInputEarly { get; init; }

    /// <summary>How long a child that was asked to end (SIGTERM) may take before SIGKILL.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The program's name for messages.</summary>
    public string Name => Path.GetFileName(Program);
}
