using System.Text.RegularExpressions;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>What a statement of pg_dumpall --globals-only is about.</summary>
public static partial class GlobalsStatement
{
    /// <summary>The role or tablespace that a statement makes, changes, describes, or gives rights on; null for others.</summary>
    public static (bool IsRole, string Name)? Subject(string statement) => AboutOne().Match(statement) is { Success: true } match
        ? (match.Groups["kind"].Value == "ROLE", Unquote(match.Groups["name"].Value))
        : null;

    /// <summary>The role that a statement gives to another; null for others.</summary>
    public static (string Role, string Member)? Membership(string statement) => RoleToRole().Match(statement) is { Success: true } match
        ? (Unquote(match.Groups["role"].Value), Unquote(match.Groups["member"].Value))
        : null;

    /// <summary>The roles and tablespaces that a whole script makes.</summary>
    /// <exception cref="BackupException">Its statements can't be told apart.</exception>
    public static IEnumerable<(bool IsRole, string Name)> Made(string globals) => SqlPieces.Split(globals)
        .Where(static p => p.IsStatement && p.Text.StartsWith("CREATE ", StringComparison.Ordinal))
        .Select(static p => Subject(p.Text)).OfType<(bool, string)>();

    private static string Unquote(string identifier) =>
        identifier.StartsWith('"') ? identifier[1..^1].Replace("\"\"", "\"", StringComparison.Ordinal) : identifier;

    [GeneratedRegex(
        """^(CREATE|ALTER|COMMENT ON|(GRANT|REVOKE) [A-Z, ]+ ON|SECURITY LABEL (FOR ("([^"]|"")+"|[^\s;"]+) )?ON) """
            + """(?<kind>ROLE|TABLESPACE) (?<name>"([^"]|"")+"|[^\s;"]+)""",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex AboutOne();

    // GRANT boss TO alice WITH ADMIN OPTION GRANTED BY postgres; rights on tablespaces have an ON.
    [GeneratedRegex(
        """^GRANT (?<role>"([^"]|"")+"|[^\s;"]+) TO (?<member>"([^"]|"")+"|[^\s;"]+)""",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex RoleToRole();
}
