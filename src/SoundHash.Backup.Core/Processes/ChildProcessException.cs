using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Processes;

/// <summary>A child program ended with a failure, or could not be trusted to have done its work.</summary>
public sealed class ChildProcessException : BackupException
{
    private const int LinesShown = 4;
    private const int MostLinesShown = 12;

    /// <summary>Makes the error from what the child left behind. The arguments are never part of it.</summary>
    public ChildProcessException(string tool, int exitCode, string stderrTail, string? hint = null)
        : base(ErrorKind.ChildFailed, Describe(tool, exitCode, stderrTail), hint)
    {
        Tool = tool;
        ExitCode = exitCode;
        StderrTail = stderrTail;
    }

    /// <summary>The program's name.</summary>
    public string Tool { get; }

    /// <summary>Its exit code; above 128 it was ended by the signal with that number less 128.</summary>
    public int ExitCode { get; }

    /// <summary>The last that it wrote to stderr, at most 64 KiB.</summary>
    public string StderrTail { get; }

    private static string Describe(string tool, int exitCode, string stderr)
    {
        var ending = exitCode > 128 ? $"was ended by signal {exitCode - 128}" : $"failed with exit code {exitCode}";
        var said = Summary(tool, stderr);
        return said.Length == 0 ? $"{tool} {ending}" : $"{tool} {ending}: {said}";
    }

    /// <summary>
    /// The lines that matter, on one line: from the last one on that begins with the tool's name, as PostgreSQL's programs and
    /// gpg do, else the last few; without gpg's status lines, which are for programs.
    /// </summary>
    private static string Summary(string tool, string stderr)
    {
        var lines = stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(static l => !l.StartsWith("[GNUPG:]", StringComparison.Ordinal)).ToList();
        var first = lines.FindLastIndex(l => l.StartsWith($"{tool}:", StringComparison.Ordinal));
        return string.Join(
            "; ",
            lines.Skip(Math.Min(first < 0 ? int.MaxValue : first, Math.Max(lines.Count - LinesShown, 0))).Take(MostLinesShown));
    }
}
