using System.Collections.Concurrent;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Wal;

/// <summary>
/// Brings what pg_receivewal has written into the archive: whole segments and histories at once, and of the segment that is being
/// written a piece now and then. A file is removed from the folder when it is durable in the archive, and a piece when its
/// whole segment is. An archive that goes meanwhile, with the disk that it is on, is never made anew in its place.
/// </summary>
internal sealed class WalReceiveUpload(
    WalReceiveFolder folder, WalArchives archive, Seal seal, int jobs, WalReceiveProgress progress, ILogger log) : IDisposable
{
    private const int MostPieceBytes = 16 * 1024 * 1024;
    private const int SegmentsAtATime = 16;
    private readonly SemaphoreSlim _alone = new(1);
    private readonly HashSet<string> _archived = [];
    private readonly Dictionary<string, long> _ends = [];
    private string? _timeline;

    /// <summary>Archives everything that is whole.</summary>
    /// <exception cref="BackupException">It can't be archived; it stays where it is.</exception>
    public Task ArchiveAsync(CancellationToken cancel) => AloneAsync(c => ArchiveWholeAsync(isAfterCrash: false, c), cancel);

    /// <summary>Stores a piece of the segment that is being written, up to where the stream is known to have written.</summary>
    /// <exception cref="BackupException">It can't be stored.</exception>
    public Task FlushAsync(CancellationToken cancel) => AloneAsync(FlushReceivedAsync, cancel);

    /// <summary>
    /// Archives everything that is there, the last byte of the unfinished segment too, and what is sure of one that was put aside.
    /// Only while nothing streams.
    /// </summary>
    /// <exception cref="BackupException">It can't be archived; it stays where it is.</exception>
    public Task DrainAsync(CancellationToken cancel) => AloneAsync(c => DrainAllAsync(isAfterCrash: false, c), cancel);

    /// <summary>
    /// As <see cref="DrainAsync"/>, for what an earlier run left, with the pieces of segments that are whole by now removed.
    /// When the machine has crashed since, what is sure of an unfinished segment is stored, and it is put aside. When that can't be
    /// stored, it is put aside all the same, since the stream begins without it: the next call stores it.
    /// </summary>
    public async Task UploadLeftoversAsync(CancellationToken cancel)
    {
        var isAfterCrash = !folder.IsOfThisBoot;
        try
        {
            await AloneAsync(c => DrainAllAsync(isAfterCrash, c), cancel);
            await RemoveSpentPiecesAsync(cancel);
        }
        finally
        {
            if (isAfterCrash)
            {
                PutUnfinishedAside();
                folder.RememberBoot();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _alone.Dispose();

    private async Task AloneAsync(Func<CancellationToken, Task> work, CancellationToken cancel)
    {
        await _alone.WaitAsync(cancel);
        try
        {
            await work(cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(ErrorKind.Storage, $"the folder {folder.Path} can't be read: {e.Message}", "check the disk", e);
        }
        finally
        {
            _alone.Release();
        }
    }

    private async Task ArchiveWholeAsync(bool isAfterCrash, CancellationToken cancel)
    {
        var files = folder.Scan();
        foreach (var history in files.Where(f => f.Name.Kind == WalFileKind.TimelineHistory && !_archived.Contains(f.Name.Name)))
        {
            await archive.EnsureThereAsync(cancel);
            // It stays: pg_receivewal would only ask for it again, and it says whose descendant a segment is.
            await archive.PutAsync(await WalSource.ReadAsync(history.Name, history.Path, cancel), seal, null, cancel);
            await archive.EnsureThereAsync(cancel);
            _archived.Add(history.Name.Name);
        }

        var segments = files.Where(static f => f.Name.Kind == WalFileKind.Segment).ToList();
        foreach (var some in segments.Where(f => !f.IsPartial && !_archived.Contains(f.Name.Name)).Chunk(SegmentsAtATime))
        {
            await archive.EnsureThereAsync(cancel);
            var alone = some.Length == 1 ? seal : seal with { Compression = seal.Compression with { Workers = 0 } };
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancel };
            await Parallel.ForEachAsync(some, parallel, async (f, stop) => await ArchiveAsync(f, alone, stop));
            // Where the disk went in the middle, they are on the one below it.
            await archive.EnsureThereAsync(cancel);
            foreach (var file in some)
            {
                await archive.EachPiecesAsync(p => p.DeleteAsync(file.Name, cancel), cancel);
                folder.RemovePutAside(file.Name);
            }

            _archived.UnionWith(some.Select(static f => f.Name.Name));
            progress.Archived(some[^1].Segment!.Value.End);
        }

        await archive.HealAsync(cancel);
        await RemoveSpentAsync(segments, isAfterCrash, cancel);
    }

    private async Task ArchiveAsync(WalReceiveFile file, Seal with, CancellationToken cancel)
    {
        var source = await WalSource.ReadAsync(file.Name, file.Path, cancel);
        EnsureGenuine(source.Name, source.First.Span, source.Length);
        await archive.PutAsync(source, with, null, cancel);
        log.Debug("{Segment} is archived", file.Name.Name);
    }

    // The newest stays, whole or not: from it, pg_receivewal learns where to go on.
    private async Task RemoveSpentAsync(List<WalReceiveFile> segments, bool isAfterCrash, CancellationToken cancel)
    {
        foreach (var file in segments.SkipLast(1))
        {
            if (file is { IsPartial: true, Segment: not null })
            {
                if (isAfterCrash)
                {
                    // Not all of it is sure, and it is put aside.
                    continue;
                }

                // The end of a timeline that the server has left, or of a stream that went on elsewhere: nobody writes to it.
                await StoreAsync(file, file.Length, isPosition: false, cancel);
            }

            folder.Remove(file);
            _archived.Remove(file.Name.Name);
            _ends.Remove(file.Name.Name);
        }
    }

    private async Task FlushReceivedAsync(CancellationToken cancel)
    {
        if (progress.Received is not { } received
            || folder.Scan() is not { Count: > 0 } files
            || files[^1] is not { IsPartial: true, Segment: { } segment } file
            || received <= segment.Start || received > segment.End)
        {
            return;
        }

        // What the server last heard of us may still be of the old timeline, in the instant after a switch.
        var isSwitch = _timeline is not null && _timeline != file.Name.Timeline;
        _timeline = file.Name.Timeline;
        // A segment before it that is not archived yet comes first: with a gap before it, a piece is worth nothing.
        if (!isSwitch && files.All(f => f.IsPartial || f.Name.Kind != WalFileKind.Segment || _archived.Contains(f.Name.Name)))
        {
            await StoreAsync(file, (long)(received.Value - segment.Start.Value), isPosition: true, cancel);
        }
    }

    private async Task DrainAllAsync(bool isAfterCrash, CancellationToken cancel)
    {
        await ArchiveWholeAsync(isAfterCrash, cancel);
        foreach (var file in Unfinished())
        {
            await StoreAsync(file, isAfterCrash ? WalReceivedData.EndOfSure(file.Path, cancel) : file.Length, isPosition: false, cancel);
        }

        foreach (var file in folder.ScanPutAside())
        {
            if (await archive.ConfirmAsync(file.Name, cancel))
            {
                folder.RemovePutAside(file.Name);
            }
            else if (file.Segment is not null)
            {
                await StoreAsync(file, WalReceivedData.EndOfSure(file.Path, cancel), isPosition: false, cancel);
            }
        }
    }

    private void PutUnfinishedAside()
    {
        foreach (var file in Unfinished())
        {
            using (var open = Open(file))
            {
                if (WalReceivedData.End(open, 0, file.Length) == 0)
                {
                    continue;
                }
            }

            log.Warning("the machine was restarted while {Segment} was received: it is received again from its beginning", file.Name.Name);
            folder.PutAside(file);
        }
    }

    private IEnumerable<WalReceiveFile> Unfinished() => folder.Scan().Where(static f => f is { IsPartial: true, Segment: not null });

    private async Task RemoveSpentPiecesAsync(CancellationToken cancel)
    {
        var segments = new HashSet<WalFileName>();
        await archive.EachPiecesAsync(
            async pieces =>
            {
                await foreach (var piece in pieces.ListAsync(null, cancel))
                {
                    lock (segments)
                    {
                        segments.Add(piece.Segment);
                    }
                }
            },
            cancel);

        foreach (var segment in segments)
        {
            if (await archive.ConfirmAsync(segment, cancel))
            {
                await archive.EachPiecesAsync(p => p.DeleteAsync(segment, cancel), cancel);
            }
        }
    }

    // Stores what is between the last piece and a limit.
    private async Task StoreAsync(WalReceiveFile file, long limit, bool isPosition, CancellationToken cancel)
    {
        var segment = file.Segment!.Value;
        var end = await EndOfPiecesAsync(file, cancel);
        await using var open = TryOpen(file);
        if (open is null || limit <= end)
        {
            return;
        }

        var last = WalReceivedData.End(open, end, limit);
        if (last > end)
        {
            EnsureGenuine(file.Name, Read(open, 0, WalHeader.Bytes), file.Length);
            await archive.EnsureThereAsync(cancel);
        }

        while (end < last)
        {
            var piece = new WalPiece(file.Name, end, Math.Min(last, end + MostPieceBytes));
            var bytes = Read(open, piece.From, (int)(piece.To - piece.From));
            await archive.EachPiecesAsync(p => p.PutAsync(piece, bytes, seal, cancel), cancel);
            await archive.EnsureThereAsync(cancel);
            log.Debug("piece {Piece} is stored", piece.Name);
            _ends[file.Name.Name] = end = piece.To;
        }

        progress.Pieced(new Lsn(segment.Start.Value + (ulong)(isPosition ? limit : end)));
    }

    // How far every store has the segment: one that has more gets some of it twice.
    private async Task<long> ConfirmPiecesAsync(WalFileName segment, CancellationToken cancel)
    {
        var ends = new ConcurrentBag<long>();
        await archive.EachPiecesAsync(async p => ends.Add(await p.ConfirmAsync(segment, cancel)), cancel);
        return ends.Min();
    }

    private async Task<long> EndOfPiecesAsync(WalReceiveFile file, CancellationToken cancel)
    {
        if (!_ends.TryGetValue(file.Name.Name, out var end))
        {
            _ends[file.Name.Name] = end = await ConfirmPiecesAsync(file.Name, cancel);
        }

        return end;
    }

    private void EnsureGenuine(WalFileName name, ReadOnlySpan<byte> first, long length)
    {
        var header = WalHeader.TryRead(first) ?? throw new BackupException(
            ErrorKind.Verification, $"what was received as WAL segment {name} does not begin like one", "see the server's log");
        var timeline = name.TimelineNumber;
        header.EnsureIs(name, archive.SystemIdentifier, header.Timeline == timeline ? null : folder.HistoryOf(timeline), length);
    }

    private static byte[] Read(FileStream file, long from, int count)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(count);
        file.Position = from;
        file.ReadExactly(bytes);
        return bytes;
    }

    private static FileStream Open(WalReceiveFile file) =>
        new(file.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    // Null when it is whole by now, and so has another name.
    private static FileStream? TryOpen(WalReceiveFile file)
    {
        try
        {
            return Open(file);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }
}
