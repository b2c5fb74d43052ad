namespace SoundHash.Backup.Processes;

/// <summary>
/// Leaves the text of statements out of what pg_restore says, line by line: after an error it prints the whole statement
/// ("Command was: …", src/bin/pg_dump/pg_backup_db.c), and CREATE SUBSCRIPTION or USER MAPPING have passwords in theirs. It is
/// started so that it says that in English.
/// </summary>
internal sealed class StatementMask(string tool)
{
    private const string Mark = "Command was: ";
    private const int WordsShown = 3;

    private bool _inStatement;

    /// <summary>The line as it may be shown; null when it is the rest of a statement.</summary>
    public string? Show(string line)
    {
        var at = line.IndexOf(Mark, StringComparison.Ordinal);
        if (at >= 0)
        {
            _inStatement = true;
            var words = line[(at + Mark.Length)..].Split(' ', StringSplitOptions.RemoveEmptyEntries).TakeWhile(static w => w.All(char.IsAsciiLetterUpper));
            return $"{line[..at]}{Mark}{string.Join(' ', words.Take(WordsShown))} …";
        }

        _inStatement &= !line.StartsWith($"{tool}:", StringComparison.Ordinal);
        return _inStatement ? null : line;
    }
}
