using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>Space at the target.</summary>
public static class TargetSpace
{
    /// <summary>Free bytes where the server keeps its data; null when it is not on this machine or not to be seen.</summary>
    public static async Task<long?> FreeBytesAsync(Session session, CancellationToken cancel)
    {
        var host = session.Settings.Host;
        if (!host.StartsWith('/') && host is not ("localhost" or "127.0.0.1" or "::1"))
        {
            return null;
        }

        try
        {
            var directory = await session.TextAsync("SELECT current_setting('data_directory')", cancel);
            return directory is null || !Directory.Exists(directory) ? null : new DriveInfo(directory).AvailableFreeSpace;
        }
        catch (Exception e) when (e is BackupException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
