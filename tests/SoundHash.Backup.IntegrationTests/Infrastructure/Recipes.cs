namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>Commands that the documentation tells people to type.</summary>
public static class Recipes
{
    /// <summary>The script between two marks of a page.</summary>
    public static string Read(string page, string name)
    {
        var begin = $"<!-- {name}: begin -->\n```bash\n";
        var end = $"```\n<!-- {name}: end -->";
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "SoundHash.Backup.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        var text = File.ReadAllText(Path.Combine(folder, "docs", page));
        var start = text.IndexOf(begin, StringComparison.Ordinal) + begin.Length;
        return text[start..text.IndexOf(end, StringComparison.Ordinal)];
    }
}
