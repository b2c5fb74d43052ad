using System.Globalization;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>The WAL that a recovery along one timeline finds without a gap.</summary>
/// <param name="Timeline">The timeline that it follows.</param>
/// <param name="Segments">Its segments in order, each on the timeline that PostgreSQL reads it from.</param>
/// <param name="LastBytes">How many bytes of the last one belong to it.</param>
/// <param name="FromPieces">The last one was never whole, and is joined from its pieces.</param>
/// <param name="Missing">The first segment that is not there whole.</param>
/// <param name="Beyond">A segment of the same line of descent that is there after the missing one, or null.</param>
internal sealed record WalSpan(
    uint Timeline, IReadOnlyList<WalSegment> Segments, long LastBytes, bool FromPieces, WalSegment Missing, WalSegment? Beyond)
{
    /// <summary>Where it ends.</summary>
    public Lsn End => Segments.Count == 0 ? Missing.Start : new Lsn(Segments[^1].Start.Value + (ulong)LastBytes);

    /// <summary>
    /// True when PostgreSQL goes on beyond the end, to what the timeline that it was to follow has left: it replays the segment in which
    /// the timelines part to its end, and where a segment of the newer one is missing, it asks the older one for it.
    /// </summary>
    public bool GoesAstray => !FromPieces && Segments.Count > 0 && Segments[^1] is var last && last.Timeline != Missing.Timeline
        && (LastBytes < last.SizeBytes || HasAbandoned);

    /// <summary>An older timeline, which PostgreSQL still asks, has a segment in the place of the missing one.</summary>
    public bool HasAbandoned { get; init; }

    /// <summary>What of it comes before a position.</summary>
    public WalSpan UpTo(Lsn position)
    {
        var segments = Segments.Where(s => s.Start < position).ToList();
        return position >= End ? this : this with
        {
            Segments = segments,
            FromPieces = FromPieces && segments.Count == Segments.Count,
            LastBytes = segments.Count > 0 ? (long)(position.Value - segments[^1].Start.Value) : LastBytes,
        };
    }
}

/// <summary>What a recovery finds in a WAL archive.</summary>
/// <param name="wal">The archive.</param>
/// <param name="pieces">Pieces of segments that were never whole; none where the recovery does not get them.</param>
/// <param name="old">WAL that is left in an old pg_wal.</param>
internal sealed class RecoverableWal(LoadedWal wal, IReadOnlyList<WalPiece> pieces, OldWal old)
{
    /// <summary>The newest timeline that only the old pg_wal knows, and that nobody has asked for; null where there is none.</summary>
    public uint? OnlyInOld { get; } = old.Files.Keys.Select(static n => WalFileName.Parse(n).TimelineNumber)
        .Where(t => !wal.Index.Timelines.Contains(t)).Cast<uint?>().Max();

    /// <summary>The archive.</summary>
    public WalArchive Archive => wal.Archive;

    /// <summary>The store's name.</summary>
    public string Store => wal.Archive.StoreName;

    /// <summary>What is archived, in order.</summary>
    public WalIndex Index => wal.Index;

    /// <summary>Timelines whose history is missing or can't be read, so that nobody knows what they descend from.</summary>
    public IReadOnlyList<uint> UnknownTimelines => wal.Index.Unread;

    /// <summary>Why a history can't be read, or null.</summary>
    public BackupException? Problem => wal.Problems.Count > 0 ? wal.Problems[0] : null;

    /// <summary>Reads what is archived of the cluster of a set.</summary>
    public static async Task<RecoverableWal> LoadAsync(
        IObjectStore store,
        ulong system,
        int segmentBytes,
        bool withPieces,
        OldWal old,
        uint? timeline,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        CancellationToken cancel)
    {
        var pieces = new List<WalPiece>();
        if (withPieces)
        {
            await foreach (var piece in new WalPieces(store, system).ListAsync(null, cancel))
            {
                pieces.Add(piece);
            }
        }

        var loaded = await LoadedWal.LoadAsync(store, system, segmentBytes, providers, cancel);
        return new RecoverableWal(With(loaded, old, timeline), pieces, old);
    }

    // What is left in pg_wal is found there when the archive does not have it. A timeline that only the old directory knows is followed
    // when somebody asks for it: it may come from an earlier try to recover.
    private static LoadedWal With(LoadedWal loaded, OldWal old, uint? timeline)
    {
        var index = loaded.Index;
        var archived = index.Entries.Select(static e => e.Name.Name).ToHashSet();
        var left = old.Files.Where(f => !archived.Contains(f.Key)).Select(static f => (Name: WalFileName.Parse(f.Key), Path: f.Value))
            .Where(f => f.Name.TimelineNumber is var own && (own == timeline || index.Timelines.Contains(own)))
            .Select(static f => new WalEntry(
                f.Name, new FileInfo(f.Path).Length, new DateTimeOffset(File.GetLastWriteTimeUtc(f.Path)), HasSum: true));
        var histories = index.Timelines.Select(index.HistoryOf).OfType<TimelineHistory>().Where(static h => h.Ancestors.Count > 0).ToList();
        TimelineHistory[] more = timeline is { } asked && histories.TrueForAll(k => k.Timeline != asked) && old.HistoryOf(asked) is { } own ? [own] : [];
        return old.Files.Count == 0
            ? loaded
            : loaded with { Index = new WalIndex(index.SegmentBytes, [.. index.Entries, .. left], [.. histories, .. more], index.Removed) };
    }

    /// <summary>True when a recovery from a set can follow a timeline.</summary>
    public bool Descends(uint timeline, PhysicalFacts set) => Index.DescendantsOf(set).Contains(timeline);

    /// <summary>The timelines that descend from a set, in words.</summary>
    public string DescendantsOf(PhysicalFacts set) =>
        string.Join(", ", Index.DescendantsOf(set).Select(static t => t.ToString(CultureInfo.InvariantCulture)));

    /// <summary>What a recovery from a set along a timeline finds.</summary>
    public WalSpan From(PhysicalFacts set, uint timeline)
    {
        var chain = Index.ChainOf(set, timeline);
        var count = chain.ContiguousEnd is { } end ? (int)(end.Number - chain.First.Number) + 1 : 0;
        var segments = chain.Entries.Take(count).Select(static e => e.Segment).ToList();
        var missing = chain.Line.At(chain.First.Number + (ulong)count);
        WalSegment? beyond = chain.Entries.Count > count ? chain.Entries[count].Segment : null;
        return Partly(chain.Line, missing) is var (last, bytes, fromPieces)
            ? new WalSpan(timeline, [.. segments, last], bytes, fromPieces, missing, beyond)
            : new WalSpan(timeline, segments, missing.SizeBytes, FromPieces: false, missing, beyond)
            {
                // It does not go back behind the timeline that it reads from (XLogFileReadAnyTLI, xlogrecovery.c).
                HasAbandoned = segments.Count > 0 && chain.Line.History.Ancestors.Any(a =>
                    a.Timeline >= segments[^1].Timeline && a.Timeline < missing.Timeline && Index.Has(missing with { Timeline = a.Timeline })),
            };
    }

    // What PostgreSQL gets in place of a segment that is not there, in the order in which it asks (XLogFileReadAnyTLI,
    // xlogrecovery.c): its pieces, or the segment of an older timeline, of which what comes before the switch belongs to this line.
    private (WalSegment Segment, long Bytes, bool FromPieces)? Partly(WalLine line, WalSegment missing)
    {
        var older = line.History.Ancestors.Reverse().Where(a => a.End > missing.Start && a.Timeline < missing.Timeline);
        foreach (var (timeline, end) in older.Select(static a => (a.Timeline, a.End)).Prepend((missing.Timeline, missing.End)))
        {
            var segment = missing with { Timeline = timeline };
            var own = (long)Math.Min(end.Value - segment.Start.Value, (ulong)segment.SizeBytes);
            if (Index.Has(segment))
            {
                return (segment, own, false);
            }

            if (JoinedBytes(segment) is var joined and >= WalHeader.Bytes)
            {
                return (segment, Math.Min(Math.Min(own, joined), Index.BytesBeforeBranch(segment)), true);
            }
        }

        return null;
    }

    // As wal-archive fetch joins them: only where nothing comes after the segment.
    private long JoinedBytes(WalSegment segment)
    {
        var name = WalFileName.Parse(segment.Name);
        return WalPieces.IsFollowed(name, Index, pieces.Select(static p => p.Segment)) ? 0 : WalPieces.EndOf(pieces.Where(p => p.Segment == name));
    }
}
