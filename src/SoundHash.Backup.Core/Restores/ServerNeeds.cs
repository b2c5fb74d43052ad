using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Restores;

/// <summary>What a set needs of a server: extensions, tablespaces and roles. A plan shows what is missing, a restore is refused for it.</summary>
internal static class ServerNeeds
{
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
