namespace SoundHash.Backup.Processes;

/// <summary>Text for commands that a person copies into a shell.</summary>
public static class ShellText
{
    /// <summary>A word as a shell takes it: quoted where it has to be.</summary>
    public static string Word(string text) => text.Length > 0 && text.All(static c => char.IsAsciiLetterOrDigit(c) || "/._-+:@".Contains(c, StringComparison.Ordinal))
        ? text
        : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
