namespace SoundHash.Backup.Errors;

/// <summary>The only place where an error kind becomes a process exit code (docs/exit-codes.md).</summary>
public static class ExitCodes
{
    /// <summary>Done, and proven.</summary>
    public const int Success = 0;

    /// <summary>The exit code of an error kind: 1 to 10, or 130 when cancelled.</summary>
    public static int For(ErrorKind kind) => kind switch
    {
        ErrorKind.Failed => 1,
        ErrorKind.Usage => 2,
        ErrorKind.Configuration => 3,
        ErrorKind.ToolMissing => 4,
        ErrorKind.ChildFailed => 5,
        ErrorKind.Storage => 6,
        ErrorKind.Encryption => 7,
        ErrorKind.Verification => 8,
        ErrorKind.Locked => 9,
        ErrorKind.Partial => 10,
        ErrorKind.Cancelled => 130,
        _ => 1,
    };

    /// <summary>The exit code of a run with several failures: a real failure over a lock over a missing optional copy.</summary>
    public static int Worst(IEnumerable<int> codes) => codes.DefaultIfEmpty(Success).MaxBy(static c => c switch
    {
        Success => 0,
        10 => 1,
        9 => 2,
        _ => 2 + c,
    });
}
