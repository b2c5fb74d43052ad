using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Wal;

/// <summary>Keeps WAL of a cluster out of the archive of another one.</summary>
internal sealed class WalReceiveAdmission(IObjectStore archive, IObjectStore repository)
{
    /// <summary>Makes sure that a cluster belongs to the archive: it is there already, or it is the first, or the repository knows it.</summary>
    /// <exception cref="BackupException">It does not.</exception>
    public async Task EnsureAsync(ulong system, CancellationToken cancel)
    {
        if (await archive.StatAsync($"{WalLayout.SystemFolder(system)}/{WalLayout.ArchiveFile}", cancel) is not null)
        {
            return;
        }

        var there = await WalArchive.SystemsAsync(archive, cancel);
        if (there.Count == 0 || there.Contains(system) || await IsKnownAsync(system, cancel))
        {
            return;
        }

        throw new BackupException(
            ErrorKind.Configuration,
            $"this archive holds WAL of system identifier {string.Join(", ", there)}, and the server is {system}",
            "give each cluster its own BACKUP_CLUSTER; after pg_upgrade or a new initdb, first run shbackup backup --new-system");
    }

    private async Task<bool> IsKnownAsync(ulong system, CancellationToken cancel)
    {
        var text = system.ToString(CultureInfo.InvariantCulture);
        var known = await repository.ReadJsonAsync(RepositoryLayout.RepositoryFile, RepositoryJson.Default.RepositoryRecord, cancel);
        return known?.Systems.Any(s => s.SystemIdentifier == text) == true;
    }
}
