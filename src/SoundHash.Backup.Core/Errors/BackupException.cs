namespace SoundHash.Backup.Errors;

/// <summary>
/// The root of every error that shbackup reports on purpose. The message is one line that says what failed, with
/// names and values and without secrets; the hint says what to do next, if possible as a command.
/// </summary>
public class BackupException : Exception
{
    /// <summary>Makes an error of a kind with its message, and a hint unless the next step is plain.</summary>
    public BackupException(ErrorKind kind, string message, string? hint = null, Exception? inner = null)
        : base(message, inner)
    {
        Kind = kind;
        Hint = hint;
    }

    /// <summary>What went wrong; decides the exit code.</summary>
    public ErrorKind Kind { get; }

    /// <summary>The next step for the person who reads this, or null.</summary>
    public string? Hint { get; }
}
