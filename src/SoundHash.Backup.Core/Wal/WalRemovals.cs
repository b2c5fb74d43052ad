using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Wal;

/// <summary>Keeps the record of what clean-ups have removed.</summary>
internal static class WalRemovals
{
    /// <summary>The record as it is to be before a plan is carried out: what it removes, and what was removed before.</summary>
    public static IReadOnlyList<WalRemovedRange> Merge(WalIndex index, WalRetentionPlan plan) =>
        Join(index.Removed.Concat(RangesOf(index, plan))).Select(r => new WalRemovedRange(
            new WalSegment(r.Timeline, r.First, index.SegmentBytes).Name, new WalSegment(r.Timeline, r.Last, index.SegmentBytes).Name)).ToList();

    /// <summary>
    /// Removes the sums of what a clean-up was stopped in the middle of removing: an object goes before its sum, and a sum alone is no file that
    /// a later clean-up would see. A young one may be of a push that is at work.
    /// </summary>
    /// <param name="store">The store of the archive.</param>
    /// <param name="folder">The cluster's folder there, with its '/'.</param>
    /// <param name="removed">What clean-ups have removed.</param>
    /// <param name="olderThan">Sums that were written later stay.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task RemoveLoneSumsAsync(
        IObjectStore store, string folder, IReadOnlyList<WalRemovedRange> removed, DateTimeOffset olderThan, CancellationToken cancel)
    {
        if (removed.Count == 0)
        {
            return;
        }

        var objects = new HashSet<string>();
        var summed = new List<string>();
        await foreach (var item in store.ListAsync(folder, cancel))
        {
            if (!item.Key.EndsWith(WalLayout.SumSuffix, StringComparison.Ordinal))
            {
                objects.Add(item.Key);
            }
            else if (item.Modified < olderThan)
            {
                summed.Add(item.Key[..^WalLayout.SumSuffix.Length]);
            }
        }

        foreach (var key in summed.Where(k => !objects.Contains(k) && removed.Any(r => r.Covers(k[(k.LastIndexOf('/') + 1)..]))))
        {
            // It may have been archived anew since the list, and even since it was looked at again.
            var sum = key + WalLayout.SumSuffix;
            if (await store.StatAsync(key, cancel) is null && await store.ReadAsync(sum, ManifestFormat.MaxBytes, cancel) is { } bytes)
            {
                await store.DeleteAsync(sum, CancellationToken.None);
                if (await store.StatAsync(key, CancellationToken.None) is not null)
                {
                    await PutBackAsync(store, sum, bytes);
                }
            }
        }
    }

    private static async Task PutBackAsync(IObjectStore store, string sum, byte[] bytes)
    {
        try
        {
            await store.WriteAsync(sum, bytes, WriteMode.CreateNew, CancellationToken.None);
        }
        catch (ObjectExistsException)
        {
            // Whoever archived the segment has written it anew.
        }
    }

    // Between two segments that go and with none that stays between them, there is nothing left that anybody could miss.
    private static IEnumerable<WalRange> RangesOf(WalIndex index, WalRetentionPlan plan)
    {
        WalRange? range = null;
        foreach (var decision in plan.Decisions.Where(static d => d.Entry.Name.Kind == WalFileKind.Segment))
        {
            if (!WalSegment.TryParse(decision.Entry.Name.Name, index.SegmentBytes, out var segment))
            {
                continue;
            }

            if (range is not null && (!decision.Removes || range.Timeline != segment.Timeline))
            {
                yield return range;
                range = null;
            }

            if (decision.Removes)
            {
                range = (range ?? new WalRange(segment.Timeline, segment.Number, segment.Number)) with { Last = segment.Number };
            }
        }

        if (range is not null)
        {
            yield return range;
        }
    }

    private static IEnumerable<WalRange> Join(IEnumerable<WalRange> ranges)
    {
        WalRange? joined = null;
        foreach (var range in ranges.OrderBy(static r => r.Timeline).ThenBy(static r => r.First))
        {
            if (joined is not null && joined.Timeline == range.Timeline && range.First <= joined.Last + 1)
            {
                joined = joined with { Last = Math.Max(joined.Last, range.Last) };
                continue;
            }

            if (joined is not null)
            {
                yield return joined;
            }

            joined = range;
        }

        if (joined is not null)
        {
            yield return joined;
        }
    }
}
