using System.Text;
using System.Text.RegularExpressions;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Takes from what pg_dumpall --globals-only wrote the statements that a server may run: roles and tablespaces that it
/// already has stay as they are, their passwords included.
/// </summary>
internal static partial class GlobalsScript
{
    /// <summary>The script for a server, and the names that are left as they are.</summary>
    public static (string Script, IReadOnlyList<string> LeftAlone) For(
        string globals, IReadOnlySet<string> roles, IReadOnlySet<string> tablespaces, bool noTablespaces)
    {
        var script = new StringBuilder();
        var leftAlone = new SortedSet<string>(StringComparer.Ordinal);
        var skipping = false;
        foreach (var line in globals.Split('\n'))
        {
            if (Membership().Match(line) is { Success: true } grant)
            {
                // Whoever took it away since then had a reason.
                var (role, member) = (Unquote(grant.Groups["role"].Value), Unquote(grant.Groups["member"].Value));
                skipping = roles.Contains(role) && roles.Contains(member);
            }
            else if (Statement().Match(line) is { Success: true } match)
            {
                var name = Unquote(match.Groups["name"].Value);
                var isRole = match.Groups["kind"].Value == "ROLE";
                skipping = isRole ? roles.Contains(name) : noTablespaces || tablespaces.Contains(name);
                if (skipping)
                {
                    leftAlone.Add(name);
                }
            }
            else if (skipping && NewStatement().IsMatch(line))
            {
                skipping = false;
            }

            script.Append(skipping ? string.Empty : line).Append('\n');
        }

        return (script.ToString(), leftAlone.ToList());
    }

    private static string Unquote(string identifier) =>
        identifier.StartsWith('"') ? identifier[1..^1].Replace("\"\"", "\"", StringComparison.Ordinal) : identifier;

    [GeneratedRegex(
        """^(CREATE|ALTER|COMMENT ON|GRANT .+? ON|REVOKE .+? ON|SECURITY LABEL .* ON) """
            + """(?<kind>ROLE|TABLESPACE) (?<name>"([^"]|"")+"|[^\s;"]+)""",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Statement();

    // GRANT boss TO alice WITH ADMIN OPTION GRANTED BY postgres; rights on tablespaces have an ON.
    [GeneratedRegex(
        """^GRANT (?<role>"([^"]|"")+"|[^\s;"]+) TO (?<member>"([^"]|"")+"|[^\s;"]+)""",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Membership();

    // A comment or password may go over several lines; the next statement or comment of pg_dumpall ends the skipping.
    [GeneratedRegex(
        @"^(--|SET |GRANT |REVOKE |CREATE |ALTER |COMMENT |\\)",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex NewStatement();
}
