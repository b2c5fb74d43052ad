using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Wal;

/// <summary>Fills gaps of an archive with what a data directory still has in pg_wal.</summary>
/// <param name="wal">The archive.</param>
/// <param name="data">The data directory.</param>
/// <param name="seal">How to compress and encrypt.</param>
/// <param name="log">Says what was filled.</param>
public sealed class WalRepair(LoadedWal wal, DataDirectory data, Seal seal, ILogger log)
{
    /// <summary>Archives those segments of a gap that the data directory has whole.</summary>
    /// <returns>The names of what is archived now.</returns>
    /// <exception cref="BackupException">The data directory is another cluster's, or the archive can't be written.</exception>
    public async Task<IReadOnlyList<WalSegment>> FillAsync(WalGap gap, WalLine line, CancellationToken cancel)
    {
        EnsureSameCluster();
        var filled = new List<WalSegment>();
        foreach (var path in Directory.EnumerateFiles(data.WalFolder).Order(StringComparer.Ordinal))
        {
            if (WalSegment.TryParse(Path.GetFileName(path), wal.Index.SegmentBytes, out var segment)
                && segment.Number >= gap.First.Number && segment.Number <= gap.Last.Number
                && line.At(segment.Number) == segment
                && await TryPutAsync(segment, path, cancel))
            {
                filled.Add(segment);
            }
        }

        return filled;
    }

    /// <summary>Archives the history of a timeline, and those of its ancestors that are missing too, where pg_wal has them.</summary>
    /// <returns>The names of what is archived now.</returns>
    /// <exception cref="BackupException">The data directory is another cluster's, or the archive can't be written.</exception>
    public async Task<IReadOnlyList<WalFileName>> FillHistoryAsync(uint timeline, CancellationToken cancel)
    {
        EnsureSameCluster();
        var (added, _) = await new WalHistories(WalArchives.Of(wal.Archive, log), seal).EnsureAsync(data, timeline, cancel);
        foreach (var name in added)
        {
            log.Information("archived {Name} from {Path}", name.Name, data.WalFolder);
        }

        return added;
    }

    /// <summary>Puts the data directory's copy of a file in the place of a damaged one in the archive, which is kept beside it.</summary>
    /// <param name="name">The file.</param>
    /// <param name="replacement">Does it.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>False when pg_wal has no copy that is surely the same file.</returns>
    /// <exception cref="BackupException">The data directory is another cluster's, or the archive can't be written.</exception>
    public async Task<bool> TryReplaceAsync(WalFileName name, WalReplacement replacement, CancellationToken cancel)
    {
        EnsureSameCluster();
        var path = data.PathOf(name);
        if (!File.Exists(path))
        {
            return false;
        }

        try
        {
            var source = await WalSource.ReadAsync(name, path, cancel);
            if (WalSegment.TryParse(name.Name, wal.Index.SegmentBytes, out var segment))
            {
                var header = WalHeader.TryRead(source.First.Span) ?? throw new BackupException(
                    ErrorKind.Verification, $"{path} does not begin like a WAL segment");
                header.EnsureIs(name, wal.Archive.SystemIdentifier, wal.Index.HistoryOf(segment.Timeline), source.Length);
                // Its sum says that it is whole; where that is lost too, the data directory has to.
                if (await wal.Archive.SumOfAsync(name, cancel) is null)
                {
                    EnsureComplete(segment, path, cancel);
                }
            }

            var aside = await replacement.ReplaceAsync(source, seal, cancel);
            log.Information("replaced the damaged {Name} from {Path}; the damaged one is kept as {Aside:l}", name.Name, path, aside);
            return true;
        }
        catch (BackupException e) when (e.Kind == ErrorKind.Verification)
        {
            log.Warning("{Path} does not replace the damaged file: {Message:l}; {Hint:l}", path, e.Message, e.Hint);
            return false;
        }
    }

    private void EnsureSameCluster()
    {
        if (data.SystemIdentifier != wal.Archive.SystemIdentifier)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{data.Path} is of system identifier {data.SystemIdentifier}, and the archive of {wal.Archive.SystemIdentifier}: nothing is filled",
                "give the data directory of the right cluster: --pgdata DIR");
        }
    }

    // A name is taken for good by what is archived under it first: half a segment would keep the whole one out.
    private void EnsureComplete(WalSegment segment, string path, CancellationToken cancel)
    {
        if (WalCompleteness.Doubt(data, segment, cancel) is { } doubt)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{path} may not be the whole segment: {doubt}",
                "give the data directory that the server last wrote to, and no copy from before (--pgdata DIR); while it runs, SELECT pg_switch_wal() ends its current segment");
        }
    }

    private async Task<bool> TryPutAsync(WalSegment segment, string path, CancellationToken cancel)
    {
        var name = WalFileName.Parse(segment.Name);
        var source = await WalSource.ReadAsync(name, path, cancel);
        try
        {
            // A file that waits to be used again has an older segment's header.
            var header = WalHeader.TryRead(source.First.Span) ?? throw new BackupException(
                ErrorKind.Verification, $"{path} does not begin like a WAL segment");
            header.EnsureIs(name, wal.Archive.SystemIdentifier, wal.Index.HistoryOf(segment.Timeline), source.Length);
            EnsureComplete(segment, path, cancel);
        }
        catch (BackupException e) when (e.Kind == ErrorKind.Verification)
        {
            log.Warning("{Path} does not fill the gap, and {Name} is still missing: {Message:l}; {Hint:l}", path, name.Name, e.Message, e.Hint);
            return false;
        }

        await wal.Archive.PutAsync(source, seal, null, cancel);
        log.Information("archived {Name} from {Path}", name.Name, path);
        return true;
    }
}
