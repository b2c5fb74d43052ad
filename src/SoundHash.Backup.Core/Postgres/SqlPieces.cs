using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>A piece of a script.</summary>
/// <param name="Text">Its text; the pieces of a script make up all of it.</param>
/// <param name="IsStatement">A statement up to its semicolon; else what is between: white space, comments, psql's own commands.</param>
public readonly record struct SqlPiece(string Text, bool IsStatement);

/// <summary>
/// Cuts a script of pg_dumpall into statements where psql does (src/fe_utils/psqlscan.l). Comments, settings and names
/// have their line breaks in them as they are, so that a line of a literal may look like any statement. What pg_dumpall
/// never writes outside of quotes is refused: guessed wrongly, a literal would become statements.
/// </summary>
public static class SqlPieces
{
    /// <summary>The pieces in their order.</summary>
    /// <exception cref="BackupException">It ends in a statement, or is none of pg_dumpall's.</exception>
    public static IEnumerable<SqlPiece> Split(string sql)
    {
        for (var at = 0; at < sql.Length;)
        {
            var start = EndOfGap(sql, at);
            if (start > at)
            {
                yield return new SqlPiece(sql[at..start], false);
            }

            at = start < sql.Length ? EndOfStatement(sql, start) : start;
            if (at > start)
            {
                yield return new SqlPiece(sql[start..at], true);
            }
        }
    }

    private static int EndOfGap(string sql, int at)
    {
        while (at < sql.Length && (char.IsWhiteSpace(sql[at]) || sql[at] == '\\' || IsPair(sql, at, "--")))
        {
            at = char.IsWhiteSpace(sql[at]) ? at + 1 : EndOfLine(sql, at);
        }

        return at;
    }

    private static int EndOfStatement(string sql, int at)
    {
        while (at < sql.Length)
        {
            switch (sql[at])
            {
                case ';':
                    return at + 1;
                case '\'' or '"':
                    at = EndOfQuoted(sql, at);
                    break;
                case '-' when IsPair(sql, at, "--"):
                    at = EndOfLine(sql, at);
                    break;
                case '\\' or '$':
                case '/' when IsPair(sql, at, "/*"):
                    throw Unreadable($"there is a {sql[at]} where pg_dumpall writes none");
                default:
                    at++;
                    break;
            }
        }

        throw Unreadable("they end in a statement");
    }

    // A backslash escapes in E'…' only: the script sets standard_conforming_strings, and where it sets it to off,
    // pg_dumpall writes E before every literal with a backslash all the same (src/fe_utils/string_utils.c).
    private static int EndOfQuoted(string sql, int at)
    {
        var quote = sql[at];
        var escapes = quote == '\'' && at > 0 && sql[at - 1] is 'E' or 'e';
        for (at++; at < sql.Length; at++)
        {
            if (escapes && sql[at] == '\\')
            {
                at++;
            }
            else if (sql[at] == quote && IsPair(sql, at + 1, quote.ToString()))
            {
                at++;
            }
            else if (sql[at] == quote)
            {
                return at + 1;
            }
        }

        throw Unreadable("they end inside quotes");
    }

    private static int EndOfLine(string sql, int at) => sql.AsSpan(at).IndexOfAny('\n', '\r') is var length and >= 0 ? at + length : sql.Length;

    private static bool IsPair(string sql, int at, string pair) => string.CompareOrdinal(sql, at, pair, 0, pair.Length) == 0;

    private static BackupException Unreadable(string why) => new(
        ErrorKind.Verification,
        $"the globals can't be told apart into statements: {why}",
        "make the roles by hand, then restore without --globals");
}
