using System.Text.RegularExpressions;

namespace SoundHash.Backup.Configuration;

/// <summary>DATABASE_URL in its parts, each by libpq's name for it. What stands in its query comes before the rest of it.</summary>
internal sealed partial class DatabaseUrl
{
    // What shbackup passes on to its own sessions and to PostgreSQL's programs alike.
    private static readonly string[] Known =
        ["host", "port", "dbname", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile"];

    // These change nothing of what is read, by whom, or how safely; shbackup has its own values for them.
    private static readonly string[] Harmless =
    [
        "application_name", "fallback_application_name", "connect_timeout", "client_encoding",
        "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
    ];

    private readonly Dictionary<string, string> _parts;

    private DatabaseUrl(Dictionary<string, string> parts) => _parts = parts;

    /// <summary>Parameters that are not passed on, and whose absence harms nobody.</summary>
    public IEnumerable<string> Ignored => _parts.Keys.Where(static p => Harmless.Contains(p));

    /// <summary>Parameters that are not passed on, and without which the connection would be another one.</summary>
    public IEnumerable<string> Unsupported => _parts.Keys.Where(static p => !Known.Contains(p) && !Harmless.Contains(p));

    /// <summary>A part, or null when it is absent or empty.</summary>
    public string? this[string name] => _parts.TryGetValue(name, out var value) && value.Length > 0 ? value : null;

    // libpq's form (PostgreSQL documentation 34.1.1.2) and not that of System.Uri, which has no empty host, no
    // socket directory as host and no ".." in a name. SQLAlchemy's "+driver" in the scheme is dropped.
    public static DatabaseUrl? TryParse(string text)
    {
        if (Form().Match(text) is not { Success: true } match)
        {
            return null;
        }

        var parts = new Dictionary<string, string>();
        foreach (var name in (string[])["host", "port", "dbname", "user", "password"])
        {
            parts[name] = Uri.UnescapeDataString(match.Groups[name].Value);
        }

        foreach (var parameter in match.Groups["query"].Value.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var pair = parameter.Split('=', 2);
            parts[Uri.UnescapeDataString(pair[0])] = pair.Length == 2 ? Uri.UnescapeDataString(pair[1]) : string.Empty;
        }

        return new DatabaseUrl(parts);
    }

    [GeneratedRegex(
        """
        ^postgres(ql)?(\+\w+)?://
        ((?<user>[^:@/]*)(:(?<password>[^@/]*))?@)?
        (\[(?<host>[^]]+)\]|(?<host>[^][@:/?,]*))(:(?<port>\d*))?
        (/(?<dbname>[^?]*))?
        (\?(?<query>.*))?$
        """,
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnorePatternWhitespace,
        1000)]
    private static partial Regex Form();
}
