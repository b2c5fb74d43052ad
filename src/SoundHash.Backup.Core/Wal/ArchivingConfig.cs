using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Wal;

/// <summary>A parameter of PostgreSQL that archiving needs.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">What it is to be.</param>
/// <param name="Current">What it is, or null where no server was asked.</param>
/// <param name="NeedsRestart">A change counts only after a restart.</param>
public sealed record ArchivingParameter(string Name, string Value, string? Current, bool NeedsRestart)
{
    /// <summary>True when the server has another value.</summary>
    public bool Differs => Current != Value;

    /// <summary>It hands the log to another program now.</summary>
    public bool IsOfAnother => Name switch
    {
        "archive_library" => Current is { Length: > 0 },
        // What the server shows where archive_mode is off, and what stands in for a command that is to come.
        "archive_command" => Current is not (null or "" or "(disabled)" or "/bin/true" or "/usr/bin/true" or "true" or ":" or "exit 0")
            && !WalCommandText.IsOursAlone(Current),
        _ => false,
    };
}

/// <summary>What postgresql.conf must say for WAL to be archived here.</summary>
public static class ArchivingConfig
{
    /// <summary>PostgreSQL ends a segment after this many seconds, so that an idle server's last change does not wait for hours.</summary>
    public const string TimeoutSeconds = "300";

    /// <summary>The parameters for a server, with what it has now.</summary>
    public static async Task<IReadOnlyList<ArchivingParameter>> ReadAsync(Session session, string archiveCommand, CancellationToken cancel)
    {
        var found = await session.QueryAsync(
            "SELECT name, setting, context FROM pg_settings WHERE name IN ('wal_level', 'archive_mode', 'archive_command', 'archive_library', 'archive_timeout')",
            static r => (Name: r.GetString(0), Setting: r.GetString(1), Context: r.GetString(2)),
            cancel);
        // With a library (since PostgreSQL 15) the command is not used.
        ArchivingParameter[] without = found.Any(static f => f is { Name: "archive_library", Setting.Length: > 0 })
            ? [new("archive_library", string.Empty, null, NeedsRestart: false)]
            : [];
        return Wanted(archiveCommand).Concat(without).Select(w =>
        {
            var now = found.First(f => f.Name == w.Name);
            // More than replica is fine too, and "always" archives all that "on" does.
            var isEnough = (w.Name, now.Setting) is ("wal_level", "logical") or ("archive_mode", "always");
            return w with { Value = isEnough ? now.Setting : w.Value, Current = now.Setting, NeedsRestart = now.Context == "postmaster" };
        }).ToList();
    }

    /// <summary>The parameters, without asking a server.</summary>
    public static IReadOnlyList<ArchivingParameter> Wanted(string archiveCommand) =>
    [
        new("wal_level", "replica", null, NeedsRestart: true),
        new("archive_mode", "on", null, NeedsRestart: true),
        new("archive_command", archiveCommand, null, NeedsRestart: false),
        new("archive_timeout", TimeoutSeconds, null, NeedsRestart: false),
    ];

    /// <summary>Sets what differs with ALTER SYSTEM and lets the server read it.</summary>
    /// <exception cref="BackupException">The role may not.</exception>
    public static async Task ApplyAsync(Session session, IEnumerable<ArchivingParameter> parameters, CancellationToken cancel)
    {
        foreach (var parameter in parameters.Where(static p => p.Differs))
        {
            await session.ExecuteAsync($"ALTER SYSTEM SET {parameter.Name} = {SqlText.Literal(parameter.Value)}", cancel);
        }

        await session.ExecuteAsync("SELECT pg_reload_conf()", cancel);
    }
}
