using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>Makes the roles and tablespaces of a set that a server does not have.</summary>
internal static class GlobalsRestore
{
    public static async Task RunAsync(SetSource source, TargetServer server, RestoreContext run, CancellationToken cancel)
    {
        await using var plain = await source.OpenAsync(source.Manifest.Single(ObjectRole.Globals), cancel);
        var (roles, tablespaces) = await server.GlobalsAsync(cancel);
        var (sql, leftAlone) = GlobalsScript.For(await ReadAsync(plain, cancel), roles, tablespaces, run.Options.NoTablespaces);
        if (leftAlone.Count > 0)
        {
            run.Log.Information("roles and tablespaces that exist stay as they are: {Names}", string.Join(", ", leftAlone));
        }

        await using var script = run.Loader(server.MaintenanceSettings).StartScript(transaction: false);
        // An error must not quote its line: ALTER ROLE has the hash of a password in it.
        await script.WriteAsync("\\set VERBOSITY terse\n", cancel);
        await script.WriteAsync(sql, cancel);
        await script.FinishAsync(cancel);
    }

    // Another character in the place of a byte would make another role.
    private static async Task<string> ReadAsync(Stream plain, CancellationToken cancel)
    {
        try
        {
            using var reader = new StreamReader(plain, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
            return await reader.ReadToEndAsync(cancel);
        }
        catch (DecoderFallbackException e)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"the globals are not in UTF-8, so that the names of roles can't be told: {e.Message}",
                "make the roles by hand, then restore without --globals",
                e);
        }
    }
}
