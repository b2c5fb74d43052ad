using SoundHash.Backup.Configuration;
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

    /// <summary>As <see cref="Open"/>, for a verb that makes the repository when it is not there.</summary>
    public static IObjectStore Make(RepositoryConfiguration configuration)
    {
        var store = new LocalObjectStore(configuration.Directory, configuration.Group);
        store.MakeRoot();
        return store;
    }
}
