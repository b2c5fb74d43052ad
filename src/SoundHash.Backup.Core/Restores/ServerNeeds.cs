using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// What a set needs of a server: a version that takes it, extensions, tablespaces and roles. A plan shows what is missing, a
/// restore is refused for it.
/// </summary>
internal static class ServerNeeds
{
    /// <summary>The programs to load a dump with, which the server must be able to follow.</summary>
    /// <param name="tools">Finds them.</param>
    /// <param name="dumpMajor">The version of pg_dump that made it.</param>
    /// <param name="serverMajor">The server's.</param>
    /// <param name="isArchive">pg_restore loads it, not psql.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">There are none, or the server would refuse their first statement.</exception>
    public static async Task<PgTools> ToolsAsync(
        PgToolFinder tools, int dumpMajor, int serverMajor, bool isArchive, CancellationToken cancel)
    {
        // Before missing programs are asked for that would not help.
        if (isArchive && PgTools.IsTooNewToLoad(dumpMajor, serverMajor))
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"pg_dump {dumpMajor} made it, and what is loaded by pg_restore {dumpMajor} is refused by a server of version {serverMajor}"
                + $" ({PgTools.WhyTooNew}); nothing was changed",
                $"restore into a server of version {PgTools.FirstWithTransactionTimeout} or newer");
        }

        var chosen = await tools.ForRestoreAsync(dumpMajor, serverMajor, cancel);
        return isArchive && PgTools.IsTooNewToLoad(chosen.Major, serverMajor)
            ? throw new BackupException(
                ErrorKind.ToolMissing,
                $"what is loaded by pg_restore {chosen.Version} in {chosen.Directory} is refused by a server of version {serverMajor}"
                + $" ({PgTools.WhyTooNew}); nothing was changed",
                $"apt-get install postgresql-client-{serverMajor}, or set PG_BIN_DIR to the directory of client programs of that version")
            : chosen;
    }

    /// <summary>
    /// Why a database must not be dropped for a set: whether an older server takes all that a newer one wrote shows when it
    /// is loaded. Null where nothing would be lost by that.
    /// </summary>
    public static BackupException? FindDowngrade(Manifest manifest, TargetServer server, TargetDecision decision)
    {
        var from = Math.Max(manifest.DumpMajor, manifest.ServerMajor);
        return from > server.ServerMajor && decision is { Action: TargetAction.DropFirst, NeedsConsent: true }
            ? new BackupException(
                ErrorKind.Failed,
                $"set {manifest.Id} is of PostgreSQL {from}, and the server of version {server.ServerMajor} may refuse parts of it, which would show"
                + $" after --clean has dropped database \"{server.Target}\"; nothing was changed",
                "--swap drops nothing and keeps the old database, --target-db NAME restores beside it")
            : null;
    }

    /// <summary>What is missing, an error for each kind of thing; empty when the set can be restored.</summary>
    /// <param name="source">The set.</param>
    /// <param name="server">Where to.</param>
    /// <param name="options">What of the set is wanted.</param>
    /// <param name="beforeGlobals">True while --globals is still to make roles and tablespaces: those are then not missed.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task<IReadOnlyList<BackupException>> FindMissingAsync(
        SetSource source, TargetServer server, RestoreOptions options, bool beforeGlobals, CancellationToken cancel)
    {
        var missing = new List<BackupException>();
        var needed = source.Contents.Extensions.Select(static e => e.Name);
        if (!options.IsPartial && await server.MissingExtensionsAsync(needed, cancel) is { Count: > 0 } extensions)
        {
            missing.Add(new BackupException(
                ErrorKind.ToolMissing,
                $"the server does not have the extensions {string.Join(", ", extensions)} that the set needs",
                "install their packages on the server's machine"));
        }

        if (beforeGlobals || options.DataOnly)
        {
            return missing;
        }

        if (!options.NoTablespaces && await server.MissingTablespacesAsync(source.Tablespaces, cancel) is { Count: > 0 } tablespaces)
        {
            missing.Add(new BackupException(
                ErrorKind.Failed,
                $"the server does not have the tablespaces {string.Join(", ", tablespaces)} that the set uses",
                "add --no-tablespaces to put everything into the default one, or --globals to make them from the backup"));
        }

        if (!(options.NoOwner && options.NoPrivileges)
            && await server.MissingRolesAsync(source.Contents.Roles, cancel) is { Count: > 0 } roles)
        {
            missing.Add(new BackupException(
                ErrorKind.Failed,
                $"the server does not have the roles {string.Join(", ", roles)} that own or may use objects of the set",
                "add --globals to make them from the backup, or --no-owner --no-privileges to do without them"));
        }

        return missing;
    }
}
