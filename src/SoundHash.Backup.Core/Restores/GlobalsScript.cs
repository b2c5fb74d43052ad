using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Takes from what pg_dumpall --globals-only wrote the statements that a server may run: roles and tablespaces that it
/// already has stay as they are, their passwords included.
/// </summary>
internal static class GlobalsScript
{
    /// <summary>The script for a server, and the names that are left as they are.</summary>
    /// <exception cref="BackupException">Its statements can't be told apart.</exception>
    public static (string Script, IReadOnlyList<string> LeftAlone) For(
        string globals, IReadOnlySet<string> roles, IReadOnlySet<string> tablespaces, bool noTablespaces)
    {
        var script = new StringBuilder();
        var leftAlone = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var piece in SqlPieces.Split(globals))
        {
            if (piece.IsStatement && IsLeftOut(piece.Text))
            {
                // So that the lines that psql names are those of the set's file.
                script.Append('\n', piece.Text.Count(static c => c == '\n'));
            }
            else
            {
                script.Append(piece.Text);
            }
        }

        return (script.ToString(), leftAlone.ToList());

        bool IsLeftOut(string statement)
        {
            if (GlobalsStatement.Membership(statement) is var (role, member))
            {
                // Whoever took it away since then had a reason.
                return roles.Contains(role) && roles.Contains(member);
            }

            if (GlobalsStatement.Subject(statement) is not var (isRole, name)
                || !(isRole ? roles.Contains(name) : noTablespaces || tablespaces.Contains(name)))
            {
                return false;
            }

            leftAlone.Add(name);
            return true;
        }
    }
}
