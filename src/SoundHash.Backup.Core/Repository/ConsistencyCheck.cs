using System.Globalization;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Says which base backups have no log that makes them consistent: without it, no recovery from them can begin.</summary>
/// <param name="store">The store of the WAL archive.</param>
/// <param name="providers">Makes the provider of a method: histories may be encrypted.</param>
public sealed class ConsistencyCheck(IObjectStore store, Func<EncryptionMethod, IEncryptionProvider> providers)
{
    /// <summary>What is wrong, by the id of the set; sets that lack nothing are not in it.</summary>
    /// <exception cref="BackupException">The archive can't be read.</exception>
    public async Task<IReadOnlyDictionary<string, BackupException>> LackingAsync(Catalogue catalogue, CancellationToken cancel)
    {
        var lacking = new Dictionary<string, BackupException>();
        foreach (var sets in catalogue.Sets.Where(static s => s.Manifest?.Physical is not null)
            .GroupBy(static s => (s.Manifest!.SystemIdentifier, s.Manifest.Physical!.WalSegmentBytes)))
        {
            var known = ulong.TryParse(sets.Key.SystemIdentifier, NumberStyles.None, CultureInfo.InvariantCulture, out var system);
            var wal = known ? await LoadedWal.LoadAsync(store, system, sets.Key.WalSegmentBytes, providers, cancel) : null;
            foreach (var set in sets)
            {
                if (WhatLacks(set, wal?.Index) is { } lack)
                {
                    lacking[set.Id] = lack;
                }
            }
        }

        return lacking;
    }

    private BackupException? WhatLacks(CatalogueEntry set, WalIndex? index)
    {
        var facts = set.Manifest!.Physical!;
        if (index is null)
        {
            return Lack($"set {set.Id} has no system identifier, so that the WAL that it needs can't be told");
        }

        return index.FirstMissingFor(facts) is { } missing
            ? Lack($"set {set.Id} can't be made consistent: WAL segment {missing} is not in store {store.Name}")
            : null;
    }

    private static BackupException Lack(string message) => new(
        ErrorKind.Verification,
        message,
        "check BACKUP_WAL_DIR; shbackup wal-archive verify --repair fetches what the server still has in pg_wal, else take a new physical backup");
}
