using System.Text.RegularExpressions;
using dotenv.net;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Configuration;

/// <summary>A .env file: its values and where it is, since relative paths in it are relative to its folder.</summary>
/// <param name="Path">Absolute path.</param>
/// <param name="Values">Names and values, unquoted.</param>
public sealed partial record EnvFile(string Path, IReadOnlyDictionary<string, string> Values)
{
    /// <summary>The folder of the file.</summary>
    public string Folder => System.IO.Path.GetDirectoryName(Path)!;

    /// <summary>
    /// Reads a file: NAME=value lines, "double" or 'single' quotes, export, comments, LF or CRLF. Values are not
    /// expanded, so that a password may hold a '$'.
    /// </summary>
    /// <exception cref="BackupException">It can't be read or a line of ours makes no sense.</exception>
    public static EnvFile Read(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        try
        {
            CheckLines(full);
            var options = new DotEnvOptions(
                ignoreExceptions: false,
                envFilePaths: [full],
                trimValues: true,
                supportExportSyntax: true,
                supportInlineComments: true,
                supportVariableExpansion: false);
            return new EnvFile(full, new Dictionary<string, string>(DotEnv.Read(options)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BackupException(ErrorKind.Configuration, $"can't read {full}: {e.Message}", "correct the file or --env-file", e);
        }
    }

    // The parser drops a line without '=' and whatever follows a closing quote. For a setting of ours that could mean
    // a backup without encryption or with half a password, so it is an error here.
    private static void CheckLines(string path)
    {
        var number = 0;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            if (NoAssignment().IsMatch(line))
            {
                throw new BackupException(
                    ErrorKind.Configuration, $"{path} line {number} is no assignment", "write it as NAME=value, or put # before it");
            }

            if (TextAfterQuote().IsMatch(line))
            {
                throw new BackupException(
                    ErrorKind.Configuration,
                    $"{path} line {number} has text after the closing quote",
                    "quote the whole value with the other kind of quotes");
            }
        }
    }

    [GeneratedRegex(@"^\s*(export\s+)?(BACKUP_|DATABASE_|PG)\w*\s*($|[^=\s\w])", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NoAssignment();

    [GeneratedRegex("""^\s*(export\s+)?\w+\s*=\s*("([^"\\]|\\.)*"|'[^']*')\s*[^\s#]""", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex TextAfterQuote();
}
