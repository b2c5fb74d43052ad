using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Cli;

/// <summary>Opens the configured stores.</summary>
internal static class RepositoryAccess
{
    /// <summary>For a verb that only reads.</summary>
    public static IObjectStore OpenForReading(RepositoryConfiguration configuration) => new LocalObjectStore(configuration.Directory);

    /// <summary>For a verb that changes what is there.</summary>
    public static IObjectStore Open(RepositoryConfiguration configuration) =>
        new LocalObjectStore(configuration.Directory, configuration.Group);

    /// <summary>The archive of WAL.</summary>
    public static IObjectStore OpenWal(WalConfiguration configuration) => new LocalObjectStore(configuration.Directory, configuration.Group);

    /// <summary>Refuses a place that is not there: to clean up nothing is no success, where a disk is not mounted or a path is mistyped.</summary>
    /// <param name="directory">The place.</param>
    /// <param name="setting">The setting that names it.</param>
    /// <exception cref="BackupException">It is not there.</exception>
    public static void EnsureThere(string directory, string setting)
    {
        if (!Directory.Exists(directory))
        {
            throw new BackupException(
                ErrorKind.Storage,
                $"{directory} does not exist, so that there is nothing to clean up",
                $"check that its disk is mounted (findmnt -T {directory}), and {setting} and BACKUP_CLUSTER");
        }
    }

    /// <summary>As <see cref="Open"/>, for a verb that makes the repository when it is not there.</summary>
    public static IObjectStore Make(RepositoryConfiguration configuration)
    {
        var store = new LocalObjectStore(configuration.Directory, configuration.Group);
        store.MakeRoot();
        return store;
    }
}
