namespace SoundHash.Backup.Postgres;

/// <summary>The only way an identifier or a text becomes part of an SQL statement.</summary>
public static class SqlText
{
    /// <summary>A condition on pg_namespace: the schemas that pg_dump looks into, neither PostgreSQL's own nor temporary ones.</summary>
    public const string UserSchemas = "nspname !~ '^pg_' AND nspname <> 'information_schema'";

    /// <summary>Quotes an identifier, always: "a""b".</summary>
    public static string Identifier(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    /// <summary>Quotes schema and name.</summary>
    public static string Identifier(string schema, string name) => $"{Identifier(schema)}.{Identifier(name)}";

    /// <summary>Quotes a text; with a backslash in it as an escape string, whatever standard_conforming_strings says.</summary>
    public static string Literal(string text)
    {
        var doubled = text.Replace("'", "''", StringComparison.Ordinal);
        return text.Contains('\\', StringComparison.Ordinal)
            ? $" E'{doubled.Replace("\\", "\\\\", StringComparison.Ordinal)}'"
            : $"'{doubled}'";
    }
}
