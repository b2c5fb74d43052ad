namespace SoundHash.Backup.Cli;

/// <summary>What somebody may have meant who mistyped a word.</summary>
internal static class Suggestion
{
    private const int MostEdits = 2;

    /// <summary>The nearest of the words that there are, or null when none is near.</summary>
    public static string? For(string word, IEnumerable<string> known)
    {
        // Of a short word, two edits make any other.
        var most = Math.Min(MostEdits, (word.TrimStart('-').Length - 1) / 2);
        return known.Select(k => (Word: k, Edits: Edits(word, k))).Where(k => k.Edits <= most)
            .OrderBy(static k => k.Edits).ThenBy(static k => k.Word, StringComparer.Ordinal).Select(static k => k.Word).FirstOrDefault();
    }

    // Letters to add, drop, change, or swap with their neighbour (optimal string alignment).
    private static int Edits(string a, string b)
    {
        var rows = Enumerable.Range(0, a.Length + 1).Select(_ => new int[b.Length + 1]).ToArray();
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                rows[i][j] = i == 0 || j == 0
                    ? i + j
                    : Math.Min(Math.Min(rows[i - 1][j], rows[i][j - 1]) + 1, rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    rows[i][j] = Math.Min(rows[i][j], rows[i - 2][j - 2] + 1);
                }
            }
        }

        return rows[a.Length][b.Length];
    }
}
