using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>The WAL of one cluster in a store, as it could be read.</summary>
/// <param name="Archive">The archive.</param>
/// <param name="Index">Its files in order.</param>
/// <param name="Problems">Histories, and the record of removals, that are there and could not be read.</param>
public sealed record LoadedWal(WalArchive Archive, WalIndex Index, IReadOnlyList<BackupException> Problems)
{
    private const int MostProbed = 8;

    /// <summary>Why the record of removals can't be read, also among the problems; else null.</summary>
    public BackupException? RemovalsProblem { get; private init; }

    /// <summary>Reads the names of a cluster's files, and its histories.</summary>
    /// <param name="store">The store.</param>
    /// <param name="system">The cluster.</param>
    /// <param name="segmentBytes">Its segment size when a set tells it; null finds it out from the segments.</param>
    /// <param name="providers">Makes the provider of a method.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">The store can't be read.</exception>
    public static async Task<LoadedWal> LoadAsync(
        IObjectStore store,
        ulong system,
        int? segmentBytes,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        CancellationToken cancel)
    {
        var archive = new WalArchive(store, system);
        var entries = new List<WalEntry>();
        await foreach (var entry in archive.ListAsync(null, cancel))
        {
            entries.Add(entry);
        }

        var problems = new List<BackupException>();
        var histories = new List<TimelineHistory>();
        foreach (var name in entries.Select(static e => e.Name).Where(static n => n.Kind == WalFileKind.TimelineHistory))
        {
            if (await TryAsync(() => ReadHistoryAsync(archive, name, providers, cancel), problems) is { } history)
            {
                histories.Add(history);
            }
        }

        var size = segmentBytes ?? await SegmentBytesAsync(archive, entries, providers, cancel);
        var ofRemovals = new List<BackupException>();
        var removed = await TryAsync(() => archive.ReadRemovedAsync(cancel), ofRemovals) ?? [];
        return new LoadedWal(archive, new WalIndex(size, entries, histories, Parse(removed, size)), [.. problems, .. ofRemovals])
        {
            RemovalsProblem = ofRemovals is [var problem] ? problem : null,
        };
    }

    /// <summary>The base backups of a cluster, with the segment size that they tell.</summary>
    public static (IReadOnlyList<CatalogueEntry> Sets, int? SegmentBytes) SetsOf(Catalogue catalogue, ulong system)
    {
        var text = WalLayout.SystemFolder(system);
        var sets = catalogue.Sets.Where(s => s.Manifest is { Physical: not null } m && m.SystemIdentifier == text).ToList();
        return (sets, sets.Count > 0 ? sets[0].Manifest!.Physical!.WalSegmentBytes : null);
    }

    private static async Task<TimelineHistory> ReadHistoryAsync(
        WalArchive archive, WalFileName name, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var timeline = name.TimelineNumber;
        try
        {
            return TimelineHistory.Parse(timeline, await archive.ReadTextAsync(name, providers, cancel) ?? string.Empty);
        }
        catch (FormatException e)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{name} in store {archive.StoreName}: {e.Message}",
                "see what it says; PostgreSQL could not use it either",
                e);
        }
    }

    // One that can't be read must not hide the others.
    private static async Task<T?> TryAsync<T>(Func<Task<T>> read, List<BackupException> problems)
        where T : class
    {
        try
        {
            return await read();
        }
        catch (BackupException e) when (e.Kind is ErrorKind.Verification or ErrorKind.Encryption or ErrorKind.ToolMissing)
        {
            problems.Add(e);
            return null;
        }
    }

    // By the header of a segment that can be read; where all are encrypted and there is no key, by what the names allow.
    private static async Task<int> SegmentBytesAsync(
        WalArchive archive, List<WalEntry> entries, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var segments = entries.Where(static e => e.Name.Kind == WalFileKind.Segment).ToList();
        foreach (var entry in segments.TakeLast(MostProbed))
        {
            try
            {
                if (await archive.OpenAsync(entry.Name, providers, cancel) is { } plain)
                {
                    await using (plain)
                    {
                        var first = new byte[WalHeader.Bytes];
                        var read = await plain.ReadAtLeastAsync(first, first.Length, throwOnEndOfStream: false, cancel);
                        if (WalHeader.TryRead(first.AsSpan(0, read)) is { } header && WalSegment.IsSize(header.SegmentBytes))
                        {
                            return (int)header.SegmentBytes;
                        }
                    }
                }
            }
            catch (BackupException)
            {
                // Verify says what is wrong with it.
            }
        }

        var size = WalSegment.DefaultSizeBytes;
        while (size > 1 << 20 && segments.Any(s => !WalSegment.TryParse(s.Name.Name, size, out _)))
        {
            size /= 2;
        }

        return size;
    }

    private static IEnumerable<WalRange> Parse(IReadOnlyList<WalRemovedRange> removed, int segmentBytes)
    {
        foreach (var range in removed)
        {
            if (WalSegment.TryParse(range.First, segmentBytes, out var first) && WalSegment.TryParse(range.Last, segmentBytes, out var last))
            {
                yield return new WalRange(first.Timeline, first.Number, last.Number);
            }
        }
    }
}
