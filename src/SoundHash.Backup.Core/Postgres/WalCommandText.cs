using System.Text.RegularExpressions;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// The commands that PostgreSQL runs for each file of WAL. Both try without us first, since to start a program for each
/// 16 MiB costs more than the work. No exit code that PostgreSQL sees is above 125 unless it is meant: that would end it.
/// </summary>
public static partial class WalCommandText
{
    /// <summary>The file in which Linux says which run of the machine this is.</summary>
    public const string BootIdFile = "/proc/sys/kernel/random/boot_id";

    /// <summary>For archive_command: an acknowledgement that is newer than the segment says that it is archived.</summary>
    /// <param name="shbackup">Absolute path of the program.</param>
    /// <param name="envFile">Absolute path of its settings, or null.</param>
    /// <param name="spoolFolder">The spool of the data directory.</param>
    public static string Archive(string shbackup, string? envFile, string spoolFolder) =>
        $"[ {Quote($"{spoolFolder}/")}%f -nt \"%p\" ] || {Program(shbackup, envFile)} wal-archive push \"%p\" || exit 1";

    /// <summary>True when an archive_command calls shbackup.</summary>
    public static bool IsOurs(string? archiveCommand) => archiveCommand?.Contains("wal-archive push", StringComparison.Ordinal) == true;

    /// <summary>True when an archive_command calls shbackup and nothing else.</summary>
    public static bool IsOursAlone(string archiveCommand) => OursAlone().IsMatch(archiveCommand);

    /// <summary>
    /// For restore_command: a segment that was fetched ahead only has to be moved; one of an earlier run of the machine, which may
    /// be torn, is in another folder.
    /// </summary>
    /// <param name="shbackup">Absolute path of the program.</param>
    /// <param name="envFile">Absolute path of its settings, or null.</param>
    /// <param name="fetchFolder">Where the spool of the data directory keeps such segments.</param>
    /// <param name="from">The store that alone is asked, or null for all.</param>
    public static string Restore(string shbackup, string? envFile, string fetchFolder, string? from = null) =>
        $"read -r b <{BootIdFile}; mv -f {Quote($"{fetchFolder}/")}\"$b\"/%f \"%p\" 2>/dev/null || {Program(shbackup, envFile)} "
        + $"wal-archive fetch {(from is null ? string.Empty : $"--from {Quote(from)} ")}%f \"%p\"";

    private static string Program(string shbackup, string? envFile) =>
        envFile is null ? Quote(shbackup) : $"{Quote(shbackup)} --env-file {Quote(envFile)}";

    // As Archive makes it, and as a person writes it.
    [GeneratedRegex(
        """^(\[ '[^']*'(\\''[^']*')*%f -nt "%p" \] \|\| )?('[^']*'(\\''[^']*')*|[^\s;&|'"]+)( --env-file ('[^']*'(\\''[^']*')*|[^\s;&|'"]+))? wal-archive push "?%p"?( \|\| exit 1)?$""",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex OursAlone();

    // For the shell, and for PostgreSQL, which takes %% for %.
    private static string Quote(string text) =>
        $"'{text.Replace("'", "'\\''", StringComparison.Ordinal).Replace("%", "%%", StringComparison.Ordinal)}'";
}
