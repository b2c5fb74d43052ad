using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Processes;

/// <summary>Finds programs by name.</summary>
public static class ProgramPath
{
    // cron and PostgreSQL hand down a short PATH or none: the usual places are always looked at, last.
    private static readonly string[] UsualPlaces = ["/usr/local/bin", "/usr/bin", "/bin"];

    /// <summary>The directories of PATH and the usual places, in order, without repeats.</summary>
    public static IReadOnlyList<string> Directories =>
        (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Where(Path.IsPathRooted)
            .Concat(UsualPlaces)
            .Distinct(StringComparer.Ordinal)
            .ToList();

    /// <summary>The absolute path of a program, or null.</summary>
    public static string? Find(string name) =>
        Directories.Select(d => Path.Combine(d, name)).FirstOrDefault(IsExecutable);

    /// <summary>The absolute path of a program.</summary>
    /// <exception cref="BackupException">It is not installed.</exception>
    public static string Require(string name, string package) =>
        Find(name) ?? throw new BackupException(
            ErrorKind.ToolMissing,
            $"the program {name} was not found in {string.Join(':', Directories)}",
            $"apt-get install {package}");

    /// <summary>True when the path is a regular file with an execute bit.</summary>
    public static bool IsExecutable(string path)
    {
        const UnixFileMode Execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return File.Exists(path) && (File.GetUnixFileMode(path) & Execute) != 0;
    }
}
