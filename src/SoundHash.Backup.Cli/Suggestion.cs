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
        return known.Select(k => (Word: k, Edits: Spelling.Edits(word, k))).Where(k => k.Edits <= most)
            .OrderBy(static k => k.Edits).ThenBy(static k => k.Word, StringComparer.Ordinal).Select(static k => k.Word).FirstOrDefault();
    }
}
