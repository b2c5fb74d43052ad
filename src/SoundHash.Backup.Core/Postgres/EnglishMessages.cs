namespace SoundHash.Backup.Postgres;

/// <summary>
/// Has PostgreSQL's programs speak English, whatever our locale: of statements that failed, whose text may hold passwords,
/// only the English words tell where they begin. No success is ever read from words.
/// </summary>
public static class EnglishMessages
{
    /// <summary>Variables of a child's environment. How characters are encoded stays as it is.</summary>
    public static IReadOnlyDictionary<string, string?> Variables { get; } = new Dictionary<string, string?>
    {
        // Over LC_MESSAGES, and for all else that it decides but the characters LANG does as well.
        ["LC_ALL"] = null,
        ["LC_CTYPE"] = Own("LC_ALL") ?? Own("LC_CTYPE") ?? Own("LANG"),
        ["LC_MESSAGES"] = "C",
        ["LANGUAGE"] = null,
    };

    private static string? Own(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
