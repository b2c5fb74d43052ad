namespace SoundHash.Backup.Errors;

/// <summary>A process exit code.</summary>
/// <param name="Kind">The kind of error that it stands for; null for success.</param>
/// <param name="Code">The number.</param>
/// <param name="Meaning">What it means, in the words of the help and of docs/exit-codes.md.</param>
public sealed record ExitCode(ErrorKind? Kind, int Code, string Meaning);

/// <summary>The only place where an error kind becomes a process exit code (docs/exit-codes.md).</summary>
public static class ExitCodes
{
    /// <summary>Done, and proven.</summary>
    public const int Success = 0;

    /// <summary>All codes, by number.</summary>
    public static IReadOnlyList<ExitCode> All { get; } =
    [
        new(null, Success, "done, and proven"),
        new(ErrorKind.Failed, 1, "failed for a reason without its own code"),
        new(ErrorKind.Usage, 2, "wrong usage"),
        new(ErrorKind.Configuration, 3, "configuration"),
        new(ErrorKind.ToolMissing, 4, "a needed program is missing, too old or too new"),
        new(ErrorKind.ChildFailed, 5, "a child program or the server failed"),
        new(ErrorKind.Storage, 6, "storage: a store or a file could not be read or written"),
        new(ErrorKind.Encryption, 7, "encryption or decryption"),
        new(ErrorKind.Verification, 8, "verification failed: something is not what was recorded"),
        new(ErrorKind.Locked, 9, "another run holds the lock"),
        new(ErrorKind.Partial, 10, "partial: the required copies are there, an optional one is missing"),
        new(ErrorKind.Cancelled, 130, "cancelled"),
    ];

    // Lighter than every other failure, the lightest first: what these leave undone, the next run does.
    private static readonly ErrorKind[] Light = [ErrorKind.Partial, ErrorKind.Locked];

    /// <summary>The exit code of an error kind: 1 to 10, or 130 when cancelled.</summary>
    public static int For(ErrorKind kind) => All.First(e => e.Kind == kind).Code;

    /// <summary>The exit code of a run with several failures: a real failure over a lock over a missing optional copy.</summary>
    public static int Worst(IEnumerable<int> codes) => codes.DefaultIfEmpty(Success).MaxBy(Weight);

    /// <summary>The exit code of a run with these failures, 0 when there is none.</summary>
    public static int WorstOf(IEnumerable<BackupException> errors) => Worst(errors.Select(static e => For(e.Kind)));

    private static int Weight(int code)
    {
        var light = Array.FindIndex(Light, k => For(k) == code);
        return code == Success ? 0 : light >= 0 ? 1 + light : 1 + Light.Length + code;
    }
}
