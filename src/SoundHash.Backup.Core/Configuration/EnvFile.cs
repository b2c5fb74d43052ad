using System.Text.RegularExpressions;
using dotenv.net;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Configuration;

/// <summary>A .env file: its values and where it is, since relative paths in it are relative to its folder.</summary>
/// <param name="Path">Absolute path.</param>
/// <param name="Values">Names and values, unquoted.</param>
public sealed partial record EnvFile(string Path, IReadOnlyDictionary<string, string> Values)
{
    private const RegexOptions Plain = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture;

    /// <summary>The folder of the file.</summary>
    public string Folder => System.IO.Path.GetDirectoryName(Path)!;

    /// <summary>
    /// The .env file of the working directory, or null when there is none. Nobody named it, and it may name programs to
    /// run and where backups go: so one that another user put there is refused.
    /// </summary>
    /// <exception cref="BackupException">It is another user's, can't be read, or a line of ours makes no sense.</exception>
    public static EnvFile? OfWorkingDirectory()
    {
        var path = System.IO.Path.GetFullPath(".env");
        // A directory of that name is somebody's virtual environment.
        if (!System.IO.Path.Exists(path) || Directory.Exists(path))
        {
            return null;
        }

        return FileOwner.IsTrusted(path)
            ? Read(path)
            : throw new BackupException(
                ErrorKind.Configuration,
                $"{path} belongs to another user, so that its settings are not taken unasked",
                $"add --env-file {path} when you trust it, or run this in another directory");
    }

    /// <summary>
    /// Reads a file: NAME=value lines, "double" or 'single' quotes, export, comments, LF or CRLF. Values are not
    /// expanded, so that a password may hold a '$'. Values of others may go over several lines, ours may not.
    /// </summary>
    /// <exception cref="BackupException">It can't be read or a line of ours makes no sense.</exception>
    public static EnvFile Read(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        try
        {
            var quoted = CheckLines(full);
            var options = new DotEnvOptions(
                ignoreExceptions: false,
                envFilePaths: [full],
                trimValues: false, // it would trim inside quotes too
                supportExportSyntax: true,
                supportInlineComments: true,
                supportVariableExpansion: false);
            var values = DotEnv.Read(options).ToDictionary(static v => v.Key, v => quoted.Contains(v.Key) ? v.Value : v.Value.Trim());
            return new EnvFile(full, values);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BackupException(ErrorKind.Configuration, $"can't read {full}: {e.Message}", "correct the file or --env-file", e);
        }
    }

    // The parser drops a line without '=' and whatever follows a closing quote, and reads on over line ends for the end
    // of a quote. For a setting of ours that could mean a backup without encryption or with half a password, so it is
    // an error here. Returns the names whose values are quoted.
    private static HashSet<string> CheckLines(string path)
    {
        var quoted = new HashSet<string>();
        var number = 0;
        var openedAt = 0;
        var open = string.Empty;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            if (open.Length > 0)
            {
                if (OurAssignment().IsMatch(line))
                {
                    throw Bad(path, number, $"stands inside the quote that line {openedAt} opens", "close that quote");
                }

                open = line.Contains(open, StringComparison.Ordinal) ? string.Empty : open;
                continue;
            }

            if (NoAssignment().IsMatch(line))
            {
                throw Bad(path, number, "is no assignment", "write it as NAME=value, or put # before it");
            }

            if (TextAfterQuote().IsMatch(line))
            {
                throw Bad(path, number, "has text after the closing quote", "quote the whole value with the other kind of quotes");
            }

            var assignment = Assignment().Match(line);
            var name = assignment.Groups["name"].Value;
            _ = assignment.Groups["quote"].Success ? quoted.Add(name) : quoted.Remove(name);
            if (assignment.Groups["quote"].Success && !assignment.Groups["closed"].Success)
            {
                if (OurAssignment().IsMatch(line))
                {
                    throw Bad(
                        path, number, "opens a quote that it does not close", "close it, or quote the value with the other kind of quotes");
                }

                (open, openedAt) = (assignment.Groups["quote"].Value, number);
            }
        }

        return quoted;
    }

    private static BackupException Bad(string path, int line, string how, string hint) =>
        new(ErrorKind.Configuration, $"{path} line {line} {how}", hint);

    [GeneratedRegex(@"^\s*(export\s+)?(BACKUP|DATABASE|PG)\w*(?!\w)(?!\s*=)", Plain, 1000)]
    private static partial Regex NoAssignment();

    [GeneratedRegex(@"^\s*(export\s+)?(BACKUP|DATABASE|PG)\w*\s*=", Plain, 1000)]
    private static partial Regex OurAssignment();

    [GeneratedRegex(
        """^\s*(export\s+)?(?<name>\w+)\s*=\s*((?<quote>["'])(?<closed>(?<=")([^"\\]|\\.)*"|(?<=')[^']*')?)?""", Plain, 1000)]
    private static partial Regex Assignment();

    [GeneratedRegex("""^\s*(export\s+)?\w+\s*=\s*("([^"\\]|\\.)*"|'[^']*')\s*[^\s#]""", Plain, 1000)]
    private static partial Regex TextAfterQuote();
}
