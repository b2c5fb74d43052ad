using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Cli;

/// <summary>What verbs that read the WAL archive work with.</summary>
/// <param name="Stores">The stores of the archive, the nearest first.</param>
/// <param name="Store">All of them as one.</param>
/// <param name="From">The store that was chosen, or null for all.</param>
/// <param name="SpoolDirectory">BACKUP_SPOOL_DIR, absolute.</param>
/// <param name="Settings">All settings.</param>
/// <param name="Providers">Makes the provider of an encryption method.</param>
internal sealed record WalReading(
    IReadOnlyList<IObjectStore> Stores, IObjectStore Store, string? From, string SpoolDirectory, SettingsReader Settings, Func<EncryptionMethod, IEncryptionProvider> Providers)
{
    /// <summary>Reads the settings.</summary>
    /// <exception cref="BackupException">They are wrong.</exception>
    public static WalReading Read(CliSession cli, string? from)
    {
        var settings = cli.Settings();
        var wal = WalConfiguration.Read(settings, from);
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        settings.ThrowIfInvalid();
        var stores = RepositoryAccess.OpenWal(cli, wal);
        return new WalReading(stores, JoinedReader.OfWal(stores, cli.Log), wal.From, wal.SpoolDirectory, settings, cli.Providers(encryption).For);
    }

    /// <summary>How many segments are fetched ahead at once: what is wrong with that must not stop who fetches one.</summary>
    /// <exception cref="BackupException">The setting is wrong.</exception>
    public int ReadJobs()
    {
        var jobs = RunConfiguration.ReadJobs(Settings);
        Settings.ThrowIfInvalid();
        return jobs;
    }

    /// <summary>The archive of a data directory's cluster; without one, of the only cluster that there is.</summary>
    /// <exception cref="BackupException">There are several, or none.</exception>
    public async Task<WalArchive> ArchiveAsync(DataDirectory? data, CancellationToken cancel)
    {
        if (data is not null)
        {
            return new WalArchive(Store, data.SystemIdentifier);
        }

        var systems = await WalArchive.SystemsAsync(Store, cancel);
        return systems switch
        {
            [var one] => new WalArchive(Store, one),
            [] => throw new BackupException(
                ErrorKind.Storage, $"store {Store.Name} has no WAL at all", "check BACKUP_WAL_DIR and BACKUP_CLUSTER"),
            _ => throw new BackupException(
                ErrorKind.Usage,
                $"the archive holds WAL of {systems.Count} clusters ({string.Join(", ", systems)})",
                "run this in the data directory, with pg_wal/NAME as the path"),
        };
    }
}
