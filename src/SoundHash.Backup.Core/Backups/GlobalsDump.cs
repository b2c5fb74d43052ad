using System.Text;
using System.Text.Unicode;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>
/// Roles and tablespaces of a cluster as SQL. Kept in every set of a run, so that each set stands alone.
/// </summary>
/// <param name="Sql">The script, byte by byte as pg_dumpall wrote it.</param>
/// <param name="WithPasswords">False where the role may not read passwords.</param>
/// <param name="Warnings">What there is to say of it; logged already.</param>
internal sealed record GlobalsDump(ReadOnlyMemory<byte> Sql, bool WithPasswords, IReadOnlyList<string> Warnings)
{
    private const int MostBytes = 1 << 30;
    private const string NotUtf8 = "invalid byte sequence";

    private readonly HashSet<(bool IsRole, string Name)> _made = MadeBy(Sql);

    public static async Task<GlobalsDump> TakeAsync(
        Session session, PgTools tools, ProcessLauncher launcher, ILogger log, CancellationToken cancel)
    {
        var withPasswords = await ServerFacts.MayReadPasswordsAsync(session, cancel);
        if (!withPasswords)
        {
            log.Warning("role \"{User}\" may not read role passwords: the globals are kept without them", session.Settings.User);
        }

        await using var shared = await SharedCatalogs.OpenAsync(session, log, cancel);
        var warnings = new ToolWarnings(log);
        Task<ReadOnlyMemory<byte>> DumpAsync(ConnectionSettings through) =>
            RunAsync(launcher.Start(Command(tools, through, withPasswords)), warnings, cancel);
        try
        {
            var sql = await DumpAsync(shared.Settings);
            if (Utf8.IsValid(sql.Span))
            {
                return new GlobalsDump(sql, withPasswords, warnings.Lines);
            }
        }
        catch (ChildProcessException e) when (e.StderrTail.Contains(NotUtf8, StringComparison.Ordinal))
        {
            log.Debug("{Message}", e.Message);
        }

        // Such a name was written through another database, this one perhaps, which then shows it as it was meant.
        warnings.Add(
            "names or comments of roles or tablespaces are not in UTF-8, since they were written through a database in another"
            + $" encoding: the globals are kept as database \"{session.Settings.Database}\" shows them;"
            + " look at them before a restore with --globals");
        try
        {
            return new GlobalsDump(await DumpAsync(session.Settings), withPasswords, warnings.Lines);
        }
        catch (ChildProcessException e) when (e.StderrTail.Contains(NotUtf8, StringComparison.Ordinal))
        {
            throw new ChildProcessException(
                e.Tool,
                e.ExitCode,
                e.StderrTail,
                "rename that role or tablespace through the database that shows it rightly (ALTER ROLE … RENAME TO …),"
                + " or back that one up first");
        }
    }

    /// <summary>Roles and tablespaces that a set names and these do not make.</summary>
    public IEnumerable<string> Lacking(Contents described)
    {
        // PostgreSQL's own are on every server.
        IEnumerable<string> tablespaces = [described.Database.Tablespace, .. described.Tablespaces ?? []];
        return described.Roles.Where(r => !_made.Contains((true, r))).Concat(
            tablespaces.Where(t => !t.StartsWith("pg_", StringComparison.Ordinal) && !_made.Contains((false, t))));
    }

    // What can't be read lacks everything, which is a warning: the backup has the data all the same.
    private static HashSet<(bool IsRole, string Name)> MadeBy(ReadOnlyMemory<byte> sql)
    {
        try
        {
            return GlobalsStatement.Made(Encoding.UTF8.GetString(sql.Span)).ToHashSet();
        }
        catch (BackupException)
        {
            return [];
        }
    }

    private static ChildCommand Command(PgTools tools, ConnectionSettings through, bool withPasswords)
    {
        string[] arguments = ["--globals-only", "--no-password", "--encoding=UTF8", $"--database={through.DatabaseOnly()}"];
        return new ChildCommand(tools.Path("pg_dumpall"), withPasswords ? arguments : [.. arguments, "--no-role-passwords"])
        {
            Environment = through.Environment,
        };
    }

    private static async Task<ReadOnlyMemory<byte>> RunAsync(ChildProcess child, ToolWarnings warnings, CancellationToken cancel)
    {
        await using (child)
        {
            child.CloseInput();
            var sql = await child.ReadBytesAsync(MostBytes, cancel);
            await child.EnsureSuccessAsync(cancel);
            warnings.Add(child);
            return sql;
        }
    }
}
