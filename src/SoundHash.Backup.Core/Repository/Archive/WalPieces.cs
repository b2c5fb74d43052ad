using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// Pieces of segments that are still being written, in one store: what <c>wal-archive receive</c> keeps of the log before a
/// segment is whole. A piece never changes; those of a segment are removed when all of it is archived.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="systemIdentifier">The cluster.</param>
public sealed class WalPieces(IObjectStore store, ulong systemIdentifier)
{
    /// <summary>The pieces of the cluster, in no certain order.</summary>
    /// <param name="segment">Only this segment's, or null for all.</param>
    /// <param name="cancel">Cancels.</param>
    public async IAsyncEnumerable<WalPiece> ListAsync(WalFileName? segment, [EnumeratorCancellation] CancellationToken cancel)
    {
        var folder = WalLayout.PieceFolder(systemIdentifier);
        await foreach (var item in store.ListAsync(segment is null ? folder : $"{folder}{segment.Name}.", cancel))
        {
            if (WalPiece.TryParse(item.Key[folder.Length..]) is { } piece)
            {
                yield return piece;
            }
        }
    }

    /// <summary>The segments that there are pieces of, each with its pieces' size and the time of the newest.</summary>
    public async Task<IReadOnlyList<WalEntry>> SegmentsAsync(CancellationToken cancel)
    {
        var folder = WalLayout.PieceFolder(systemIdentifier);
        var found = new List<(WalPiece Piece, ObjectInfo Info)>();
        await foreach (var item in store.ListAsync(folder, cancel))
        {
            if (WalPiece.TryParse(item.Key[folder.Length..]) is { } piece)
            {
                found.Add((piece, item));
            }
        }

        return found.GroupBy(static f => f.Piece.Segment)
            .Select(static g => new WalEntry(g.Key, g.Sum(static f => f.Info.Size), g.Max(static f => f.Info.Modified), true))
            .OrderBy(static e => e.Name.Name, StringComparer.Ordinal).ToList();
    }

    /// <summary>How far pieces go on behind a part of the log, and when the last of them was stored; null where none does.</summary>
    /// <param name="index">What is archived: where a later segment of the timeline is, pieces are never given to a recovery.</param>
    /// <param name="timeline">The timeline.</param>
    /// <param name="end">The end of the log without them: the beginning of a segment.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<(Lsn End, DateTimeOffset Stored)?> BeyondAsync(WalIndex index, uint timeline, Lsn end, CancellationToken cancel)
    {
        var next = WalSegment.Of(timeline, end, index.SegmentBytes);
        if (next.Start != end || index.LineTo(timeline).At(next.Number) != next
            || (index.Of(timeline) is [.., var last] && last.Segment.Number >= next.Number))
        {
            return null;
        }

        // As wal-archive fetch gives them: only where nothing comes after the segment, and up to where another timeline left its own.
        var name = WalFileName.Parse(next.Name);
        var segments = await SegmentsAsync(cancel);
        if (segments.FirstOrDefault(e => e.Name == name) is not { } entry || IsFollowed(name, index, segments.Select(static e => e.Name)))
        {
            return null;
        }

        var bytes = Math.Min(await EndAsync(name, cancel), index.BytesBeforeBranch(next));
        return bytes >= WalHeader.Bytes ? (new Lsn(end.Value + (ulong)bytes), entry.Stored) : null;
    }

    /// <summary>True where something later of a segment's timeline is there: then <c>wal-archive fetch</c> gives no pieces of it.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="index">What is archived.</param>
    /// <param name="pieced">The segments that there are pieces of.</param>
    public static bool IsFollowed(WalFileName segment, WalIndex index, IEnumerable<WalFileName> pieced) =>
        index.Entries.Select(static e => e.Name).Where(static n => n.Kind is WalFileKind.Segment or WalFileKind.Partial)
            .Concat(pieced).Any(n => n.IsLaterThan(segment));

    /// <summary>How many bytes of a segment some of its pieces hold without a gap, from its beginning on.</summary>
    public static long EndOf(IEnumerable<WalPiece> pieces)
    {
        var end = 0L;
        foreach (var piece in pieces.OrderBy(static p => p.From))
        {
            end = piece.From <= end ? Math.Max(end, piece.To) : end;
        }

        return end;
    }

    /// <summary>How many bytes of a segment its pieces hold without a gap, from its beginning on.</summary>
    public async Task<long> EndAsync(WalFileName segment, CancellationToken cancel) => EndOf(await InOrderAsync(segment, cancel));

    /// <summary>As <see cref="EndAsync"/>, of pieces that have their sum; they survive a crash of the machine from then on, whoever wrote them.</summary>
    public async Task<long> ConfirmAsync(WalFileName segment, CancellationToken cancel)
    {
        var confirmed = new List<WalPiece>();
        foreach (var piece in await InOrderAsync(segment, cancel))
        {
            var key = WalLayout.KeyOf(systemIdentifier, piece);
            if (await store.ConfirmAsync(key, cancel) is not null && await store.ConfirmAsync(key + WalLayout.SumSuffix, cancel) is not null)
            {
                confirmed.Add(piece);
            }
        }

        return EndOf(confirmed);
    }

    /// <summary>Stores a piece. When it returns, the piece is there, whole and durable.</summary>
    /// <param name="piece">Which one.</param>
    /// <param name="bytes">Its bytes.</param>
    /// <param name="seal">How to compress and encrypt it.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">Other bytes are there under that name, or the store can't be written.</exception>
    public async Task PutAsync(WalPiece piece, ReadOnlyMemory<byte> bytes, Seal seal, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, piece);
        await ReserveAsync(piece, key, Convert.ToHexStringLower(SHA256.HashData(bytes.Span)), cancel);
        try
        {
            await using var writer = await store.OpenWriteAsync(key, WriteMode.CreateNew, cancel);
            await using var sealing = seal.Compression.Compress(seal.Encryption?.Encrypt(writer) ?? writer);
            await sealing.WriteAsync(bytes, cancel);
            await sealing.CompleteAsync(cancel);
        }
        catch (ObjectExistsException)
        {
            // Stored before by one who had no time to say so; the sum is the same, and so is the content.
        }
    }

    /// <summary>
    /// Joins the pieces of a segment from its beginning to the first gap, and fills it up with zeros, in which PostgreSQL sees
    /// the end of the log. Each piece is checked against its sum, and where two overlap, against the other.
    /// </summary>
    /// <param name="name">The segment.</param>
    /// <param name="target">Where to, from its position 0 on; it must be readable, writable and seekable.</param>
    /// <param name="providers">Makes the provider of a method.</param>
    /// <param name="cancel">Cancels.</param>
    /// <returns>The segment, and how many of its bytes are from pieces; null when its beginning is missing.</returns>
    /// <exception cref="BackupException">A piece is damaged, contradicts another one, or is of another segment.</exception>
    public async Task<(WalSegment Segment, long Bytes)?> JoinAsync(
        WalFileName name, Stream target, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var end = 0L;
        foreach (var piece in await InOrderAsync(name, cancel))
        {
            if (piece.From > end)
            {
                break;
            }

            await using var plain = await OpenAsync(piece, providers, cancel);
            await CopyAsync(piece, plain, target, end, cancel);
            end = Math.Max(end, piece.To);
        }

        if (end < WalHeader.Bytes)
        {
            return null;
        }

        var segment = await SegmentAsync(name, target, cancel);
        if (end > segment.SizeBytes)
        {
            throw Damaged(name, $"end behind it, at {end} of {segment.SizeBytes} bytes");
        }

        target.SetLength(segment.SizeBytes);
        return (segment, end);
    }

    /// <summary>Removes the pieces of a segment: first what is read, then its sums.</summary>
    public async Task DeleteAsync(WalFileName segment, CancellationToken cancel)
    {
        var prefix = $"{WalLayout.PieceFolder(systemIdentifier)}{segment.Name}.";
        var keys = new List<string>();
        await foreach (var item in store.ListAsync(prefix, cancel))
        {
            keys.Add(item.Key);
        }

        foreach (var key in keys.OrderBy(static k => k.EndsWith(WalLayout.SumSuffix, StringComparison.Ordinal)))
        {
            await store.DeleteAsync(key, cancel);
        }
    }

    // From the beginning of the segment on; of those that begin together, the longest first.
    private async Task<List<WalPiece>> InOrderAsync(WalFileName segment, CancellationToken cancel)
    {
        var pieces = new List<WalPiece>();
        await foreach (var piece in ListAsync(segment, cancel))
        {
            pieces.Add(piece);
        }

        return pieces.OrderBy(static p => p.From).ThenByDescending(static p => p.To).ToList();
    }

    private async Task ReserveAsync(WalPiece piece, string key, string sha256, CancellationToken cancel)
    {
        try
        {
            await new WalSum(sha256, null).WriteAsync(store, key, WriteMode.CreateNew, cancel);
        }
        catch (ObjectExistsException)
        {
            var known = (await WalSum.ReadAsync(store, key, cancel))?.Sha256;
            if (known != sha256)
            {
                throw Damaged(piece, $"is there with other content (SHA-256 {known ?? "nothing"}, here {sha256}); nothing was touched");
            }
        }
    }

    private async Task<Stream> OpenAsync(
        WalPiece piece, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var key = WalLayout.KeyOf(systemIdentifier, piece);
        var sum = await WalSum.ReadAsync(store, key, cancel) ?? throw Damaged(piece, $"has no {WalLayout.SumSuffix} beside it");
        var stored = await store.OpenReadAsync(key, 0, cancel);
        try
        {
            var subject = $"piece {piece} of WAL in store {store.Name}";
            stored = await SealedForm.OpenAsync(stored, subject, providers, cancel);
            return new VerifyingReadStage(stored, subject, piece.To - piece.From, ContentSum.Sha256(sum.Sha256));
        }
        catch
        {
            await stored.DisposeAsync();
            throw;
        }
    }

    private async Task CopyAsync(WalPiece piece, Stream plain, Stream target, long end, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        var at = piece.From;
        int read;
        while ((read = await plain.ReadAsync(buffer, cancel)) > 0)
        {
            var known = (int)Math.Clamp(end - at, 0, read);
            if (known > 0 && !await IsThereAsync(target, at, buffer.AsMemory(0, known), cancel))
            {
                throw Damaged(piece, "contradicts another piece of its segment");
            }

            target.Position = at + known;
            await target.WriteAsync(buffer.AsMemory(known, read - known), cancel);
            at += read;
        }
    }

    private static async Task<bool> IsThereAsync(Stream target, long at, ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        var there = GC.AllocateUninitializedArray<byte>(bytes.Length);
        target.Position = at;
        await target.ReadExactlyAsync(there, cancel);
        return bytes.Span.SequenceEqual(there);
    }

    // By its own header, which must say that it is what its name says.
    private async Task<WalSegment> SegmentAsync(WalFileName name, Stream joined, CancellationToken cancel)
    {
        var first = new byte[WalHeader.Bytes];
        joined.Position = 0;
        await joined.ReadExactlyAsync(first, cancel);
        return WalHeader.TryRead(first) is { } header && WalSegment.IsSize(header.SegmentBytes)
            && WalSegment.TryParse(name.Name, (int)header.SegmentBytes, out var segment)
            && segment.Start == header.Start && header.SystemIdentifier == systemIdentifier
            ? segment
            : throw Damaged(name, "are of another one");
    }

    private BackupException Damaged(WalFileName segment, string how) => Damaged($"the pieces of WAL segment {segment}", how);

    private BackupException Damaged(WalPiece piece, string how) => Damaged($"piece {piece} of WAL", how);

    private BackupException Damaged(string what, string how) => new(
        ErrorKind.Verification,
        $"{what} in store {store.Name} {how}",
        "two receivers of different servers store into one archive, or the store is damaged: give each cluster its own BACKUP_CLUSTER; "
        + "a piece that is removed by hand only shortens what can be recovered");
}
