using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Cli;

/// <summary>Opens the configured stores.</summary>
internal static class RepositoryAccess
{
    /// <summary>The stores of the sets, the nearest first. Nothing is asked of them yet, nor made.</summary>
    public static IReadOnlyList<IObjectStore> Open(CliSession cli, RepositoryConfiguration configuration) =>
        configuration.Stores.Select(s => Open(cli, s, configuration.StateDirectory)).ToList();

    // What was found out of a distant store is remembered in a directory of ours, so that the next run need not try it again.
    private static IObjectStore Open(CliSession cli, StoreSettings settings, string memory) => settings switch
    {
        S3StoreSettings s3 => DistantStores.Open(cli, s3, memory),
        GcsStoreSettings gcs => DistantStores.Open(cli, gcs),
        LocalStoreSettings local => new LocalObjectStore(local.Directory, local.Group, local.Name, local.Existing),
        _ => throw new InvalidOperationException($"store {settings.Name} is of no known type"),
    };

    /// <summary>
    /// As <see cref="Open(CliSession, RepositoryConfiguration)"/>, for a verb that makes the repository where it is not there, before its lock makes a
    /// folder in it.
    /// </summary>
    public static IReadOnlyList<IObjectStore> Make(CliSession cli, RepositoryConfiguration configuration)
    {
        var stores = Open(cli, configuration);
        foreach (var local in stores.OfType<LocalObjectStore>().Where(static s => s.Name == StoreSettings.Local))
        {
            try
            {
                local.MakeRoot();
            }
            catch (StorageException) when (stores.Count > 1)
            {
                // The first write fails likewise, and leaves it out.
            }
        }

        return stores;
    }

    /// <summary>What the stores hold. One that can't be read is left out, and is among the problems; none at all is an error.</summary>
    public static Task<AllCopies> LoadAsync(CliSession cli, RepositoryConfiguration configuration, CancellationToken cancel) =>
        AllCopies.LoadAsync(Open(cli, configuration), cli.Log, cancel);

    /// <summary>As <see cref="LoadAsync"/>, for a restore: a store that can't be read must not stop it, and is only warned of.</summary>
    public static async Task<AllCopies> LoadForRestoreAsync(CliSession cli, RepositoryConfiguration configuration, CancellationToken cancel)
    {
        var copies = await LoadAsync(cli, configuration, cancel);
        foreach (var problem in copies.Problems)
        {
            cli.Log.Warning("{Message:l}; what is there is not seen", problem.Message);
        }

        return copies;
    }

    /// <summary>As <see cref="LoadAsync"/>, for who must know of every set that there is.</summary>
    /// <exception cref="BackupException">A store can't be read.</exception>
    public static async Task<AllCopies> LoadWholeAsync(CliSession cli, RepositoryConfiguration configuration, CancellationToken cancel)
    {
        var copies = await LoadAsync(cli, configuration, cancel);
        return copies.Views.Select(static v => v.Problem).OfType<BackupException>().FirstOrDefault() is { } unseen ? throw unseen : copies;
    }

    /// <summary>The stores of the WAL archive, the nearest first.</summary>
    public static IReadOnlyList<IObjectStore> OpenWal(CliSession cli, WalConfiguration configuration) =>
        configuration.Stores.Select(s => Open(cli, s, configuration.SpoolDirectory)).ToList();

    /// <summary>The WAL of all its stores as one archive, to be read.</summary>
    public static IObjectStore ReadWal(CliSession cli, WalConfiguration configuration) => JoinedReader.OfWal(OpenWal(cli, configuration), cli.Log);

    /// <summary>The archive that makes the physical sets of a store consistent: the store's own, or all of it where it has none.</summary>
    public static IObjectStore WalOf(CliSession cli, WalConfiguration configuration, string store) =>
        configuration.Stores.FirstOrDefault(s => s.Name == store) is { } own ? Open(cli, own, configuration.SpoolDirectory) : ReadWal(cli, configuration);

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
}
