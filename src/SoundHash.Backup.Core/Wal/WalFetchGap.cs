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
/// XLogFileReadAnyTLI): what it is not given, though a later segment of that timeline is archived, is missing.
/// </summary>
/// <param name="archive">The archive, which surely lacks the segment.</param>
/// <param name="providers">Makes the provider of a method.</param>
/// <param name="log">For people.</param>
public sealed class WalFetchGap(WalArchive archive, Func<EncryptionMethod, IEncryptionProvider> providers, ILogger log)
{
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

        if (await LaterAsync(name, cancel) is not { } later)
        {
            return null;
        }

        var has = string.Empty;
        if (data is not null)
        {
            var segment = await SegmentAsync(name, later, cancel);
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
            $"{name} is neither in store {archive.StoreName} nor whole in pg_wal{has}, and {later}, which comes after it, is archived: "
            + "that is a gap, and not the end of the log",
            "where the server's pg_wal still has it: shbackup wal-archive verify --repair; otherwise recover from a physical backup that begins after "
            + "the gap, or to a target before it");
    }

    /// <summary>Says of a segment for the end of the log that there was more, where its sum tells that.</summary>
    public async Task WarnIfBegunAsync(WalFileName name, CancellationToken cancel)
    {
        if (await archive.SumOfAsync(name, cancel) is not null)
        {
            log.Warning("{Name:l} was begun to be archived (its .sha256 is in store {Store:l}) and is not there: the log went on", name.Name, archive.StoreName);
        }
    }

    private async Task<WalFileName?> LaterAsync(WalFileName name, CancellationToken cancel)
    {
        WalFileName? first = null;
        await foreach (var entry in archive.ListAsync(name.TimelineNumber, cancel))
        {
            if (entry.HasSum && entry.Name.Kind == WalFileKind.Segment
                && string.CompareOrdinal(entry.Name.Name, name.Name) > 0
                && (first is null || string.CompareOrdinal(entry.Name.Name, first.Name) < 0))
            {
                first = entry.Name;
            }
        }

        return first;
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
        foreach (var path in Directory.EnumerateFiles(data.WalFolder, "*.history"))
        {
            if (WalFileName.TryParse(Path.GetFileName(path)) is not { Kind: WalFileKind.TimelineHistory } file)
            {
                continue;
            }

            try
            {
                var history = TimelineHistory.Parse(file.TimelineNumber, await File.ReadAllTextAsync(path, cancel));
                if (history.SwitchFrom(segment.Timeline) is { } end && end <= segment.Start)
                {
                    return true;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
            {
                throw new BackupException(
                    ErrorKind.Verification, $"{path} can't be used: {e.Message}", "see what that file says: PostgreSQL could not use it either", e);
            }
        }

        return false;
    }
}
