using System.Globalization;
using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Wal;

/// <summary>
/// Brings back the last segment of the archive that was never whole, from its pieces. A recovery ends in it, so that it is given
/// to one that is to end, and only where nothing comes after it: a standby would take its end for the end of what it gets. And
/// never in place of as much of the segment as the data directory has itself, which PostgreSQL reads when we say that we have none.
/// </summary>
/// <param name="store">The store of the archive.</param>
/// <param name="archive">The archive, which surely lacks the segment.</param>
/// <param name="providers">Makes the provider of a method.</param>
/// <param name="log">For people.</param>
public sealed class WalFetchPieces(
    IObjectStore store, WalArchive archive, Func<EncryptionMethod, IEncryptionProvider> providers, ILogger log)
{
    private readonly WalPieces _pieces = new(store, archive.SystemIdentifier);

    /// <summary>Brings a segment back; false when that is not right here, or there is nothing of it.</summary>
    /// <param name="name">The file that PostgreSQL asks for.</param>
    /// <param name="dataDirectory">The data directory that is recovered.</param>
    /// <param name="path">Where to; it appears whole or not at all.</param>
    /// <param name="mustBeWhole">The log goes on behind the segment: only pieces that hold all of it lead there.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">A piece is damaged, or the store can't be read.</exception>
    public async Task<bool> TryAsync(WalFileName name, string dataDirectory, string path, bool mustBeWhole, CancellationToken cancel)
    {
        if (name.Kind != WalFileKind.Segment
            || File.Exists(Path.Combine(dataDirectory, "standby.signal"))
            || !File.Exists(Path.Combine(dataDirectory, "recovery.signal"))
            || await _pieces.EndAsync(name, cancel) is var end && (end == 0 || HasAsMuch(name, dataDirectory, end, cancel))
            || await IsFollowedAsync(name, cancel))
        {
            return false;
        }

        try
        {
            await using var file = new FetchedFile(name, path);
            if (!await TryJoinAsync(name, file.Content, mustBeWhole, cancel))
            {
                return false;
            }

            await file.PublishAsync(cancel);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(ErrorKind.Failed, $"can't write {path}: {e.Message}", "check the directory and its free space", e);
        }
    }

    // A file of that name may be an older segment that waits to be used again, or a copy from before the pieces came.
    private bool HasAsMuch(WalFileName name, string dataDirectory, long bytes, CancellationToken cancel) =>
        WalSegmentLog.TryRead(Path.Combine(dataDirectory, "pg_wal", name.Name), cancel) is { } own
        && own.Is(name, archive.SystemIdentifier) && own.End >= bytes;

    private async Task<bool> TryJoinAsync(WalFileName name, FileStream file, bool mustBeWhole, CancellationToken cancel)
    {
        // Pieces go, one after the other, when the segment is whole: what was joined may be but the ones that were left.
        if (await _pieces.JoinAsync(name, file, providers, cancel) is not var (segment, bytes) || await archive.ContainsAsync(name, cancel))
        {
            return false;
        }

        if (await BranchAsync(segment, cancel) is { } branch && branch.End.Value - segment.Start.Value is var own && own < (ulong)bytes)
        {
            // What a server wrote to its timeline after another was promoted must never be replayed on the other's.
            log.Warning(
                "timeline {Child} left timeline {Timeline} at {Position}: the pieces of {Segment} are used up to there",
                branch.Timeline,
                segment.Timeline,
                branch.End,
                name.Name);
            file.SetLength((long)own);
            file.SetLength(segment.SizeBytes);
            bytes = (long)own;
        }

        if (mustBeWhole)
        {
            return WalSegmentLog.TryRead(file, cancel)?.IsWhole == true;
        }

        log.Information("{Segment} was never whole: {Bytes} bytes of it are from pieces, and recovery ends there", name.Name, bytes);
        return true;
    }

    private async Task<bool> IsFollowedAsync(WalFileName name, CancellationToken cancel)
    {
        await foreach (var piece in _pieces.ListAsync(null, cancel))
        {
            if (piece.Segment.IsLaterThan(name))
            {
                return true;
            }
        }

        await foreach (var entry in archive.ListAsync(name.TimelineNumber, cancel))
        {
            if (entry.Name.Kind is WalFileKind.Segment or WalFileKind.Partial && entry.Name.IsLaterThan(name))
            {
                return true;
            }
        }

        return false;
    }

    // The first place in a segment where another timeline left its own. Timelines are numbered without gaps, as PostgreSQL looks for them.
    private async Task<TimelineSwitch?> BranchAsync(WalSegment segment, CancellationToken cancel)
    {
        TimelineSwitch? first = null;
        for (var timeline = segment.Timeline + 1; ; timeline++)
        {
            var name = WalFileName.Parse(TimelineHistory.NameOf(timeline));
            if (await archive.ReadTextAsync(name, providers, cancel) is not { } text)
            {
                return first;
            }

            // One that left before the segment never asks for it (src/backend/access/transam/xlogrecovery.c, XLogFileReadAnyTLI).
            if (Parse(timeline, text).SwitchFrom(segment.Timeline) is { } end
                && end >= segment.Start && end < segment.End && (first is null || end < first.End))
            {
                first = new TimelineSwitch(timeline, end, string.Empty);
            }
        }
    }

    private TimelineHistory Parse(uint timeline, string text)
    {
        try
        {
            return TimelineHistory.Parse(timeline, text);
        }
        catch (FormatException e)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{TimelineHistory.NameOf(timeline)} in store {archive.StoreName}");
            throw new BackupException(ErrorKind.Verification, $"{name} is no history: {e.Message}", "restore that file from another copy", e);
        }
    }
}
