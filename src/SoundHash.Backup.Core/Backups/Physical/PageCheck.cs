using System.IO.Hashing;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>How pages are judged.</summary>
/// <param name="BlockBytes">Bytes of a page.</param>
/// <param name="SegmentBlocks">Pages of a full file of a relation.</param>
/// <param name="Start">Pages changed from here on are not judged: they may be half written now, and replay writes them anew.</param>
internal sealed record PageRules(int BlockBytes, uint SegmentBlocks, Lsn Start);

/// <summary>
/// Checks the pages of one file in passing. A wrong one is only suspected at first: the server may be writing it. It is damaged
/// when it is still the same, and wrong, when it is read again a while later.
/// </summary>
internal sealed class PageCheck(PageRules rules, RelationFile file)
{
    private readonly List<(long Page, ulong Hash)> _suspects = [];

    /// <summary>True when some pages have to be read again.</summary>
    public bool HasSuspects => _suspects.Count > 0;

    /// <summary>Checks the whole pages of a piece.</summary>
    /// <param name="piece">Some bytes of the file.</param>
    /// <param name="offset">Where they stand: at the beginning of a page.</param>
    public void Add(ReadOnlySpan<byte> piece, long offset)
    {
        for (var page = offset / rules.BlockBytes; piece.Length >= rules.BlockBytes; page++)
        {
            var bytes = piece[..rules.BlockBytes];
            if (!IsGood(bytes, page))
            {
                _suspects.Add((page, XxHash3.HashToUInt64(bytes)));
            }

            piece = piece[rules.BlockBytes..];
        }
    }

    /// <summary>Reads what is suspected again, and returns the numbers of the damaged pages in their relation's fork.</summary>
    /// <param name="read">Reads bytes of the file from an offset into a buffer; fewer at its end.</param>
    public List<long> Judge(Func<Memory<byte>, long, int> read)
    {
        var page = new byte[rules.BlockBytes];
        return _suspects.Where(s => read(page, s.Page * rules.BlockBytes) == page.Length
                && XxHash3.HashToUInt64(page) == s.Hash && !IsGood(page, s.Page))
            .Select(s => BlockOf(s.Page)).ToList();
    }

    /// <summary>The suspected pages as they are, for who can't read them again.</summary>
    public List<long> Suspects() => _suspects.ConvertAll(s => BlockOf(s.Page));

    private bool IsGood(ReadOnlySpan<byte> page, long number) =>
        PageChecksum.Stored(page) == PageChecksum.Of(page, (uint)BlockOf(number))
        || PageChecksum.LsnOf(page) >= rules.Start
        || PageChecksum.IsEmpty(page);

    private long BlockOf(long page) => ((long)file.Segment * rules.SegmentBlocks) + page;
}
