using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// The WAL of one cluster in one store. A name has one content for ever: the SHA-256 of its plain bytes is written first,
/// in a file of its own, whose first line never changes; the second says how the object is stored, and may be replaced. Who
/// comes later with the same name must bring the same bytes. A file is archived when its object is there, which appears whole
/// or not at all.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="systemIdentifier">The cluster.</param>
public sealed class WalArchive(IObjectStore store, ulong systemIdentifier)
{
    private const int Format = 1;

    /// <summary>The store's name for messages.</summary>
    public string StoreName => store.Name;

    /// <summary>The cluster.</summary>
    public ulong SystemIdentifier => systemIdentifier;

    private string RecordKey => $"{WalLayout.SystemFolder(systemIdentifier)}/{WalLayout.ArchiveFile}";

    /// <summary>The clusters whose WAL a store holds.</summary>
    public static async Task<IReadOnlyList<ulong>> SystemsAsync(IObjectStore store, CancellationToken cancel)
    {
        var found = new SortedSet<ulong>();
        await foreach (var item in store.ListAsync(string.Empty, cancel))
        {
            if (ulong.TryParse(item.Key.Split('/')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var system))
            {
                found.Add(system);
            }
        }

        return found.ToList();
    }

    /// <summary>True when a store has WAL of the cluster at all.</summary>
    public async Task<bool> ExistsAsync(CancellationToken cancel)
    {
        var folder = WalLayout.SystemFolder(systemIdentifier);
        if (await store.StatAsync($"{folder}/{WalLayout.ArchiveFile}", cancel) is not null)
        {
            return true;
        }

        // One that another program made. Whatever is there will do, and a standby asks every few seconds.
        await foreach (var _ in store.ListAsync($"{folder}/", cancel))
        {
            return true;
        }

        return false;
    }

    /// <summary>Makes sure that the archive of the cluster is there; a first one is made.</summary>
    /// <param name="hasArchived">It has been there before: an empty one is then a disk that is not mounted, say, and no new archive.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It is gone, or of a newer format.</exception>
    public async Task AdmitAsync(bool hasArchived, DateTimeOffset now, CancellationToken cancel)
    {
        if (hasArchived)
        {
            // The format was checked at first use.
            await EnsureThereAsync(cancel);
            return;
        }

        if (await store.ConfirmAsync(RecordKey, cancel) is not null)
        {
            var known = await store.ReadJsonAsync(RecordKey, RepositoryJson.Default.WalArchiveRecord, cancel);
            if (known is null || known.FormatVersion > Format)
            {
                throw new BackupException(
                    ErrorKind.Configuration,
                    $"the WAL archive in store {store.Name} has format version {known?.FormatVersion}; this shbackup knows {Format}",
                    "use the newer shbackup that made it");
            }

            return;
        }

        try
        {
            await store.WriteJsonAsync(
                RecordKey, new WalArchiveRecord(Format, now), RepositoryJson.Default.WalArchiveRecord, WriteMode.CreateNew, cancel);
        }
        catch (ObjectExistsException)
        {
            // Another first push was faster.
        }
    }

    /// <summary>Makes sure that an archive that was there before still is: for who writes into it, each time before that.</summary>
    /// <exception cref="StorageException">It is gone.</exception>
    public async Task EnsureThereAsync(CancellationToken cancel)
    {
        if (await store.StatAsync(RecordKey, cancel) is null)
        {
            throw new StorageException(
                $"the WAL archive of system identifier {systemIdentifier} is gone from store {store.Name}, where it was before",
                "see whether the disk is mounted and BACKUP_WAL_DIR is right; when it was removed on purpose, remove the files 'archived…' "
                + "in the spool of the data directory (BACKUP_SPOOL_DIR) and take a new physical backup");
        }
    }

    /// <summary>Archives a file. When it returns, the file is there, whole and durable.</summary>
    /// <param name="source">The file.</param>
    /// <param name="seal">How to compress and encrypt it.</param>
    /// <param name="beforeCommit">Runs when all bytes are written and before they count; throws to stop that.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="WalConflictException">The archive has other bytes under that name; nothing was touched.</exception>
    /// <exception cref="StorageException">The store can't be written.</exception>
    public Task<WalPutResult> PutAsync(WalSource source, Seal seal, Action? beforeCommit, CancellationToken cancel) =>
        new WalPut(store, source.Name, source.Sha256, WalLayout.KeyOf(systemIdentifier, source.Name), beforeCommit).RunAsync(
            (target, token) => source.SealIntoAsync(seal, target, token), cancel);

    /// <summary>Archives a file as another store has it, its bytes as they are stored: no key is needed.</summary>
    /// <param name="from">The archive that has it.</param>
    /// <param name="name">The file.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>What became of it; null when the other archive surely does not have it.</returns>
    /// <exception cref="BackupException">It is not as it was archived there, or can't be read or written.</exception>
    public async Task<WalPutResult?> CopyFromAsync(WalArchive from, WalFileName name, CancellationToken cancel)
    {
        if (!await from.ContainsAsync(name, cancel))
        {
            return null;
        }

        if (await from.SumAsync(name, cancel) is not { Stored: not null } sum)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"WAL file {name} is not copied from store {from.StoreName}: its {WalLayout.SumSuffix} file is missing, or does not say how it is stored, so that nothing could be compared",
                "to have that file completed, with the key: shbackup wal-archive verify --repair");
        }

        return await new WalPut(store, name, sum.Sha256, WalLayout.KeyOf(systemIdentifier, name), beforeCommit: null).RunAsync(
            async (target, token) =>
            {
                await using var stored = await from.OpenStoredAsync(name, sum, token);
                await stored.CopyToAsync(target, StreamCopy.ChunkBytes, token);
                await target.CompleteAsync(token);
            },
            cancel);
    }

    private async Task<Stream> OpenStoredAsync(WalFileName name, WalSum sum, CancellationToken cancel)
    {
        var stored = await store.OpenReadAsync(WalLayout.KeyOf(systemIdentifier, name), 0, cancel);
        return new VerifyingReadStage(stored, $"WAL file {name} in store {store.Name}", null, ContentSum.XxHash128(sum.Stored!));
    }

    private Task<WalSum?> SumAsync(WalFileName name, CancellationToken cancel) =>
        WalSum.ReadAsync(store, WalLayout.KeyOf(systemIdentifier, name), cancel);

    /// <summary>SHA-256 of a file's plain bytes, in lower-case hex; null when nothing of that name was ever begun.</summary>
    /// <exception cref="BackupException">The sum is there and can't be read.</exception>
    public async Task<string?> SumOfAsync(WalFileName name, CancellationToken cancel) =>
        (await WalSum.ReadAsync(store, WalLayout.KeyOf(systemIdentifier, name), cancel))?.Sha256;

    /// <summary>Locks a file and its sum, as <see cref="IObjectStore.RetainAsync"/> does.</summary>
    /// <exception cref="StorageException">It is not there, or can't be locked.</exception>
    public async Task RetainAsync(WalFileName name, ObjectAttributes attributes, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, name);
        await store.RetainAsync(key, attributes, cancel);
        await store.RetainAsync(key + WalLayout.SumSuffix, attributes, cancel);
    }

    /// <summary>True when a file is archived.</summary>
    public async Task<bool> ContainsAsync(WalFileName name, CancellationToken cancel) =>
        await store.StatAsync(WalLayout.KeyOf(systemIdentifier, name), cancel) is not null;

    /// <summary>True when a file is archived with its sum; both survive a crash of the machine from then on, whoever wrote them.</summary>
    public async Task<bool> ConfirmAsync(WalFileName name, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, name);
        return await store.ConfirmAsync(key, cancel) is not null && await store.ConfirmAsync(key + WalLayout.SumSuffix, cancel) is not null;
    }

    /// <summary>
    /// Opens the plain bytes of a file, whatever its form; null when the archive surely does not have it. A difference from
    /// its sum is thrown in place of the end.
    /// </summary>
    /// <param name="name">The file.</param>
    /// <param name="providers">Makes the provider of a method.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It is there and can't be read.</exception>
    public async Task<Stream?> OpenAsync(WalFileName name, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, name);
        Stream stored;
        try
        {
            stored = await store.OpenReadAsync(key, 0, cancel);
        }
        catch (ObjectMissingException)
        {
            return null;
        }

        try
        {
            var sum = await SumOfAsync(name, cancel) ?? throw WalPut.WithoutSum(store, key);
            var subject = $"WAL file {name} in store {store.Name}";
            stored = await SealedForm.OpenAsync(stored, subject, providers, cancel);
            return new VerifyingReadStage(stored, subject, null, ContentSum.Sha256(sum));
        }
        catch
        {
            await stored.DisposeAsync();
            throw;
        }
    }

    /// <summary>Reads a file as it is stored, without any key, to its end.</summary>
    /// <param name="name">The file.</param>
    /// <param name="meter">Measures the stored bytes.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>False when it is not known how it is stored, so that nothing is said of it.</returns>
    /// <exception cref="BackupException">It is not stored as it was, is gone, or can't be read.</exception>
    public async Task<bool> IsStoredAsItWasAsync(WalFileName name, TransferMeter? meter, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, name);
        if (await WalSum.ReadAsync(store, key, cancel) is not { Stored: { } hash })
        {
            return false;
        }

        Stream stored;
        try
        {
            stored = await store.OpenReadAsync(key, 0, cancel);
        }
        catch (ObjectMissingException e)
        {
            throw new BackupException(ErrorKind.Verification, $"WAL file {name} is gone from store {store.Name} since it was listed", null, e);
        }

        await using var checking = new VerifyingReadStage(stored, $"WAL file {name} in store {store.Name}", null, ContentSum.XxHash128(hash));
        await StreamCopy.DrainAsync(checking, meter, cancel);
        return true;
    }

    /// <summary>Lets the sum of a file that was read, and is as it was archived, say how it is stored, where it does not.</summary>
    public async Task CompleteSumAsync(WalFileName name, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, name);
        if (await WalSum.ReadAsync(store, key, cancel) is { } sum && await WalPut.StoredHashAsync(store, key, cancel) is var hash && sum.Stored != hash)
        {
            await (sum with { Stored = hash }).WriteAsync(store, key, WriteMode.Replace, cancel);
        }
    }

    /// <summary>Reads a small file (a history) as text; null when the archive does not have it.</summary>
    public async Task<string?> ReadTextAsync(
        WalFileName name, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        if (await OpenAsync(name, providers, cancel) is not { } plain)
        {
            return null;
        }

        await using (plain)
        {
            using var reader = new StreamReader(plain, Encoding.UTF8);
            return await reader.ReadToEndAsync(cancel);
        }
    }

    /// <summary>The archived files of the cluster, in no certain order; pieces of segments are not among them.</summary>
    /// <param name="timeline">Only this timeline's files, or null for all.</param>
    /// <param name="cancel">Cancels.</param>
    public async IAsyncEnumerable<WalEntry> ListAsync(uint? timeline, [EnumeratorCancellation] CancellationToken cancel)
    {
        var folder = $"{WalLayout.SystemFolder(systemIdentifier)}/";
        var prefix = timeline is null ? folder : string.Create(CultureInfo.InvariantCulture, $"{folder}{timeline:X8}/");
        var sums = new HashSet<string>();
        var files = new List<(WalFileName Name, ObjectInfo Info)>();
        await foreach (var item in store.ListAsync(prefix, cancel))
        {
            if (item.Key.EndsWith(WalLayout.SumSuffix, StringComparison.Ordinal))
            {
                sums.Add(item.Key[..^WalLayout.SumSuffix.Length]);
            }
            else if (WalFileName.TryParse(item.Key[(item.Key.LastIndexOf('/') + 1)..]) is { } name
                && WalLayout.KeyOf(systemIdentifier, name) == item.Key)
            {
                files.Add((name, item));
            }
        }

        foreach (var (name, info) in files)
        {
            yield return new WalEntry(name, info.Size, info.Modified, sums.Contains(info.Key));
        }
    }

    /// <summary>What clean-ups have removed.</summary>
    /// <exception cref="BackupException">The record of it is there and can't be read.</exception>
    public async Task<IReadOnlyList<WalRemovedRange>> ReadRemovedAsync(CancellationToken cancel) =>
        (await store.ReadJsonAsync(RemovedKey, RepositoryJson.Default.WalRemovedRecord, cancel))?.Ranges ?? [];

    /// <summary>Replaces the record of what clean-ups have removed; before they do, so that a killed one makes nothing look lost.</summary>
    public Task WriteRemovedAsync(IReadOnlyList<WalRemovedRange> ranges, CancellationToken cancel) => store.WriteJsonAsync(
        RemovedKey, new WalRemovedRecord(ranges), RepositoryJson.Default.WalRemovedRecord, WriteMode.Replace, cancel);

    /// <summary>Removes a file: the object first, so that what is left for an instant is a sum without an object, which is no file.</summary>
    public async Task DeleteAsync(WalFileName name, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, name);
        await store.DeleteAsync(key, cancel);
        await store.DeleteAsync(key + WalLayout.SumSuffix, cancel);
    }

    private string RemovedKey => $"{WalLayout.SystemFolder(systemIdentifier)}/{WalLayout.RemovedFile}";
}
