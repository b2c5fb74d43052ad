namespace SoundHash.Backup.Postgres;

/// <summary>Values as postgresql.conf has them.</summary>
public static class ConfText
{
    /// <summary>Quotes a value as ALTER SYSTEM does: a quote is doubled, and so is a backslash.</summary>
    public static string Quote(string text) =>
        $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}'";
}
