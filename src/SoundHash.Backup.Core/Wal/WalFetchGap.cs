using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Wal;

/// <summary>
/// Tells a gap of the archive from the end of the log. PostgreSQL ends a recovery at the first segment that it does not get and
/// goes on on a new timeline, whatever comes after it. It asks for what it needs alone, one after the other, and on each timeline
/// of the history that it follows only from that one's first segment on (src/backend/access/transam/xlogrecovery.c,
/// XLogFileReadAnyTLI): what it is not given, though a later segment of that timeline is archived, or one behind it on the way to the
/// timeline that it recovers to, is missing.
/// </summary>
/// <param name="archive">The archive, which surely lacks the segment.</param>
/// <param name="providers">Makes the provider of a method.</param>
/// <param name="log">For people.</param>
public sealed class WalFetchGap(WalArchive archive, Func<EncryptionMethod, IEncryptionProvider> providers, ILogger log)
{
    private const int TimelineDigits = 8;

    /// <summary>The gap that a segment is missing in, as an error; null where the log may end before it.</summary>
    /// <param name="name">The file that is asked for.</param>
    /// <param name="data">The data directory that is recovered; null when a person asks.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">It can't be told.</exception>
    public async Task<BackupException?> FindAsync(WalFileName name, DataDirectory? data, CancellationToken cancel)
    {
        if (name.Kind != WalFileKind.Segment)
        {
            return null;
        }

        TimelineHistory? followed = null;
        var later = await LaterAsync(name, name.TimelineNumber, cancel);
        if (later is null && data is not null)
        {
            followed = await FollowedAsync(data, cancel);
            later = followed is null ? null : await LaterAsync(name, followed, cancel);
        }

        if (later is null)
        {
            return null;
        }

        var has = string.Empty;
        if (data is not null)
        {
            var segment = await SegmentAsync(name, later, cancel);
            if (followed is not null && followed.SwitchFrom(segment.Timeline) < segment.End)
            {
                // The segment in which the other timeline left is that one's too, and PostgreSQL asked for that before.
                return null;
            }

            var own = WalSegmentLog.TryRead(data.PathOf(name), cancel);
            if (own?.Is(name, data.SystemIdentifier) == true)
            {
                if (own.IsWhole)
                {
                    return null;
                }

                has = $" (pg_wal has it up to {new Lsn(segment.Start.Value + (ulong)own.End)} only)";
            }

            if (await HasLeftAsync(segment, data, cancel))
            {
                return null;
            }
        }

        return new BackupException(
            ErrorKind.Verification,
            $"{name} is neither in store {archive.StoreName} nor whole in pg_wal{has}, and {later}, which comes after it"
            + $"{(followed is null ? string.Empty : $" on the way to timeline {followed.Timeline}, which is recovered")}, is archived: "
            + "that is a gap, and not the end of the log",
            "where the server's pg_wal still has it: shbackup wal-archive verify --repair; otherwise recover from a physical backup that begins after "
            + "the gap, or to a target before it"
            + (followed is null ? string.Empty : $"; what is before the gap alone: recovery_target_timeline = '{name.TimelineNumber}'"));
    }

    /// <summary>Says of a segment for the end of the log that there was more, where its sum tells that.</summary>
    public async Task WarnIfBegunAsync(WalFileName name, CancellationToken cancel)
    {
        if (await archive.SumOfAsync(name, cancel) is not null)
        {
            log.Warning("{Name:l} was begun to be archived (its .sha256 is in store {Store:l}) and is not there: the log went on", name.Name, archive.StoreName);
        }
    }

    private async Task<WalFileName?> LaterAsync(WalFileName name, TimelineHistory followed, CancellationToken cancel)
    {
        if (followed.SwitchFrom(name.TimelineNumber) is null)
        {
            return null;
        }

        foreach (var timeline in followed.Ancestors.Select(static a => a.Timeline).Append(followed.Timeline).Where(t => t > name.TimelineNumber))
        {
            if (await LaterAsync(name, timeline, cancel) is { } later)
            {
                return later;
            }
        }

        return null;
    }

    private async Task<WalFileName?> LaterAsync(WalFileName name, uint timeline, CancellationToken cancel)
    {
        WalFileName? first = null;
        await foreach (var entry in archive.ListAsync(timeline, cancel))
        {
            if (entry.HasSum && entry.Name.Kind == WalFileKind.Segment
                && string.CompareOrdinal(entry.Name.Name[TimelineDigits..], name.Name[TimelineDigits..]) > 0
                && (first is null || string.CompareOrdinal(entry.Name.Name, first.Name) < 0))
            {
                first = entry.Name;
            }
        }

        return first;
    }

    // The timeline that PostgreSQL recovers to, where it is another one than that of the data directory. It fetches its history, and those
    // between, anew at each start and before the first segment, and keeps them in pg_wal (src/backend/access/transam/timeline.c,
    // readTimeLineHistory, restoreTimeLineHistoryFiles). One that an earlier start has left there, or that came with the data directory,
    // says nothing: recovery_target_timeline may be an older one, whose log ends where its archive does. postmaster.opts is
    // written at each start, and never again.
    private static async Task<TimelineHistory?> FollowedAsync(DataDirectory data, CancellationToken cancel)
    {
        var started = new FileInfo(Path.Combine(data.Path, "postmaster.opts"));
        if (!started.Exists)
        {
            return null;
        }

        foreach (var (name, path) in Histories(data).OrderByDescending(static h => h.Name.TimelineNumber))
        {
            if (File.GetLastWriteTimeUtc(path) >= started.LastWriteTimeUtc)
            {
                return await ReadAsync(name, path, cancel);
            }
        }

        return null;
    }

    // Names tell no positions without the segment size, which the header of any other one has.
    private async Task<WalSegment> SegmentAsync(WalFileName name, WalFileName later, CancellationToken cancel)
    {
        var first = new byte[WalHeader.Bytes];
        if (await archive.OpenAsync(later, providers, cancel) is { } plain)
        {
            await using (plain)
            {
                var read = await plain.ReadAtLeastAsync(first, first.Length, throwOnEndOfStream: false, cancel);
                if (WalHeader.TryRead(first.AsSpan(0, read)) is { } header && WalSegment.IsSize(header.SegmentBytes)
                    && WalSegment.TryParse(name.Name, (int)header.SegmentBytes, out var segment))
                {
                    return segment;
                }
            }
        }

        throw new BackupException(
            ErrorKind.Verification,
            $"{name} is not in store {archive.StoreName}, and whether the log ends there can't be told: {later}, which comes after it, is no WAL segment",
            "shbackup wal-archive verify");
    }

    // Of a timeline that was left before the segment, PostgreSQL asks for it too when the one that left has no more. What it
    // follows is in pg_wal: it keeps the histories there that it has read.
    private static async Task<bool> HasLeftAsync(WalSegment segment, DataDirectory data, CancellationToken cancel)
    {
        foreach (var (name, path) in Histories(data))
        {
            if ((await ReadAsync(name, path, cancel)).SwitchFrom(segment.Timeline) is { } end && end <= segment.Start)
            {
                return true;
            }
        }

        return false;
    }

    private static IEnumerable<(WalFileName Name, string Path)> Histories(DataDirectory data) =>
        Directory.EnumerateFiles(data.WalFolder, "*.history")
            .Where(static p => WalFileName.TryParse(Path.GetFileName(p)) is { Kind: WalFileKind.TimelineHistory })
            .Select(static p => (WalFileName.Parse(Path.GetFileName(p)), p));

    private static async Task<TimelineHistory> ReadAsync(WalFileName name, string path, CancellationToken cancel)
    {
        try
        {
            return TimelineHistory.Parse(name.TimelineNumber, await File.ReadAllTextAsync(path, cancel));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new BackupException(
                ErrorKind.Verification, $"{path} can't be used: {e.Message}", "see what that file says: PostgreSQL could not use it either", e);
        }
    }
}
