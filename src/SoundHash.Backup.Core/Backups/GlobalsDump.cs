using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Backups;

/// <summary>Roles and tablespaces of a cluster as SQL. Taken once a run and kept in every set of it, so that each set stands alone.</summary>
/// <param name="Sql">The script.</param>
/// <param name="WithPasswords">False where the role may not read passwords.</param>
internal sealed record GlobalsDump(ReadOnlyMemory<byte> Sql, bool WithPasswords)
{
    public static async Task<GlobalsDump> TakeAsync(Session session, PgTools tools, ProcessLauncher launcher, CancellationToken cancel)
    {
        var withPasswords = await ServerFacts.MayReadPasswordsAsync(session, cancel);
        List<string> arguments = ["--globals-only", "--no-password", $"--database={session.Settings.DatabaseOnly()}"];
        if (!withPasswords)
        {
            arguments.Add("--no-role-passwords");
        }

        var sql = await launcher.ReadOutputAsync(
            new ChildCommand(tools.Path("pg_dumpall"), arguments) { Environment = session.Settings.Environment }, cancel);
        return new GlobalsDump(System.Text.Encoding.UTF8.GetBytes(sql), withPasswords);
    }
}
