using SoundHash.Backup.Configuration;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Cli;

/// <summary>Opens the configured stores.</summary>
internal static class RepositoryAccess
{
    public static IObjectStore Open(RepositoryConfiguration configuration) =>
        new LocalObjectStore(configuration.Directory, configuration.Group);
}
