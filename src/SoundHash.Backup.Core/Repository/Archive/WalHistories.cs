using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// Archives timeline histories that PostgreSQL does not hand over. It marks a history as ready only when the timeline begins, and
/// only while archive_mode is on (src/backend/access/transam/timeline.c): archiving that is switched on later gets the segments of
/// the timeline, and never what they are worthless without.
/// </summary>
/// <param name="archive">The archive, in every store.</param>
/// <param name="seal">How to compress and encrypt.</param>
public sealed class WalHistories(WalArchives archive, Seal seal)
{
    /// <summary>Makes sure that the history of a timeline is archived; where it is not, its ancestors' come too.</summary>
    /// <param name="data">The data directory whose pg_wal may have them.</param>
    /// <param name="timeline">The timeline.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>What was archived, and whether the timeline's own is there now.</returns>
    /// <exception cref="WalConflictException">The archive has another timeline of that number.</exception>
    /// <exception cref="BackupException">One is there and is none, or the archive can't be written.</exception>
    public async Task<(IReadOnlyList<WalFileName> Added, bool IsThere)> EnsureAsync(DataDirectory data, uint timeline, CancellationToken cancel)
    {
        // The first timeline has none.
        if (timeline <= 1)
        {
            return ([], true);
        }

        var isThere = await archive.ContainsAsync(NameOf(timeline), cancel);
        if (await TryReadAsync(data, timeline, cancel) is not { } own)
        {
            return ([], isThere);
        }

        if (isThere)
        {
            // Two servers may have given one number to two timelines; their segments are not to be mixed.
            return await archive.SumOfAsync(own.Source.Name, cancel) is var (known, store) && known != own.Source.Sha256
                ? throw new WalConflictException(own.Source.Name, store, own.Source.Sha256, known)
                : ([], true);
        }

        var added = new List<WalFileName>();
        // The oldest first: a history that is there has all before it.
        foreach (var ancestor in own.History.Ancestors.Select(static a => a.Timeline).Where(static t => t > 1).Order())
        {
            if (!await archive.ContainsAsync(NameOf(ancestor), cancel) && await TryReadAsync(data, ancestor, cancel) is { } older)
            {
                await PutAsync(older.Source);
            }
        }

        await PutAsync(own.Source);
        return (added, true);

        async Task PutAsync(WalSource source)
        {
            await archive.PutAsync(source, seal, null, cancel);
            added.Add(source.Name);
        }
    }

    private static WalFileName NameOf(uint timeline) => WalFileName.Parse(TimelineHistory.NameOf(timeline));

    private static async Task<(WalSource Source, TimelineHistory History)?> TryReadAsync(
        DataDirectory data, uint timeline, CancellationToken cancel)
    {
        var name = NameOf(timeline);
        var path = Path.Combine(data.WalFolder, name.Name);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            var text = await File.ReadAllTextAsync(path, cancel);
            var history = TimelineHistory.Parse(timeline, text);
            return history.Ancestors.Count > 0
                ? (await WalSource.ReadAsync(name, path, cancel), history)
                : throw new FormatException("it names no timeline");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{path} can't be used: {e.Message}",
                "run this as the user that PostgreSQL runs as; see what that file says: PostgreSQL could not use it either",
                e);
        }
    }
}
