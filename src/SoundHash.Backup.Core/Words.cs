using System.Text.Json;

namespace SoundHash.Backup;

/// <summary>Enumerations as the words that people, JSON and the repository's files see: pre-data, logical.</summary>
public static class Words
{
    /// <summary>The value in lower case, its parts joined by hyphens.</summary>
    public static string Word<T>(this T value)
        where T : struct, Enum => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString());
}
