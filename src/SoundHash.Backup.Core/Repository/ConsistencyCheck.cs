using System.Globalization;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
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

    /// <summary>Reads the log that makes a base backup consistent, to its end: as it is stored, or what is in it where no sum says how that is.</summary>
    /// <param name="set">A set that lacks nothing.</param>
    /// <param name="meter">Measures the stored bytes; null for none.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>What is not as it was archived, is gone, or can't be opened to tell (<see cref="ErrorKind.Encryption"/>); none where all of it is whole.</returns>
    /// <exception cref="BackupException">The archive can't be read.</exception>
    public async Task<IReadOnlyList<BackupException>> DamageAsync(Manifest set, TransferMeter? meter, CancellationToken cancel)
    {
        var damage = new List<BackupException>();
        if (set.Physical is not { } facts || !ulong.TryParse(set.SystemIdentifier, NumberStyles.None, CultureInfo.InvariantCulture, out var system))
        {
            return damage;
        }

        var archive = new WalArchive(store, system);
        var index = (await LoadedWal.LoadAsync(store, system, facts.WalSegmentBytes, providers, cancel)).Index;
        foreach (var name in index.NeededFor(facts).Select(static s => WalFileName.Parse(s.Name)))
        {
            try
            {
                if (!await archive.IsStoredAsItWasAsync(name, meter, cancel))
                {
                    await using var plain = await archive.OpenAsync(name, providers, cancel) ?? throw new BackupException(
                        ErrorKind.Verification, $"WAL file {name} is gone from store {store.Name} since it was listed");
                    await StreamCopy.DrainAsync(plain, meter, cancel);
                }
            }
            catch (BackupException e) when (e.Kind == ErrorKind.Encryption)
            {
                damage.Add(new BackupException(e.Kind, $"whether set {set.Id} can be made consistent is not known: {e.Message}", e.Hint, e));
            }
            catch (BackupException e)
            {
                damage.Add(new BackupException(
                    e.Kind,
                    $"set {set.Id} can't be made consistent: {e.Message}",
                    "shbackup wal-archive verify --repair fetches what the server still has in pg_wal, else take a new physical backup",
                    e));
            }
        }

        return damage;
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
