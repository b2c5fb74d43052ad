using System.IO.Hashing;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>How pages are judged.</summary>
/// <param name="BlockBytes">Bytes of a page.</param>
/// <param name="SegmentBlocks">Pages of a full file of a relation.</param>
internal sealed record PageRules(int BlockBytes, uint SegmentBlocks);

/// <summary>A page with a wrong checksum.</summary>
/// <param name="Path">The file.</param>
/// <param name="Block">Its number in its relation's fork.</param>
/// <param name="Lsn">The last change of it, as it says itself.</param>
internal sealed record WrongPage(string Path, long Block, Lsn Lsn)
{
    /// <summary>
    /// Those that replay does not write anew: it does that with what was changed during the backup, which may have been half written
    /// when it was read. A change that is said to be after the backup can't have been in it: whatever overwrote the page says so.
    /// </summary>
    public static IReadOnlyList<DamagedPage> Damaged(IEnumerable<WrongPage> pages, BackupEnd end) =>
        pages.Where(p => p.Lsn < end.Start || p.Lsn > end.Stop).Select(static p => new DamagedPage(p.Path, p.Block)).ToList();
}

/// <summary>
/// Checks the pages of one file in passing. A wrong one is only suspected at first: the server may be writing it. It is read again
/// until it is right, or twice the same; one that is neither, however often it is read, is wrong too.
/// </summary>
internal sealed class PageCheck(PageRules rules, RelationFile file, string path)
{
    private const int Readings = 10;

    // More than any write of a page takes.
    private static readonly TimeSpan BetweenReadings = TimeSpan.FromMilliseconds(100);

    private readonly List<(long Page, ulong Hash, Lsn Lsn)> _suspects = [];

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
                _suspects.Add((page, XxHash3.HashToUInt64(bytes), PageChecksum.LsnOf(bytes)));
            }

            piece = piece[rules.BlockBytes..];
        }
    }

    /// <summary>Reads what is suspected again, and returns what is wrong.</summary>
    /// <param name="read">Reads bytes of the file from an offset into a buffer; fewer at its end.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<List<WrongPage>> JudgeAsync(Func<Memory<byte>, long, int> read, TimeProvider time, CancellationToken cancel)
    {
        var wrong = new List<WrongPage>();
        var page = new byte[rules.BlockBytes];
        var open = _suspects.ConvertAll(static s => (Suspect: s, s.Hash));
        for (var reading = 0; reading < Readings && open.Count > 0; reading++)
        {
            await Task.Delay(BetweenReadings, time, cancel);
            var changing = new List<((long Page, ulong Hash, Lsn Lsn) Suspect, ulong Hash)>();
            foreach (var (suspect, before) in open)
            {
                if (read(page, suspect.Page * rules.BlockBytes) < page.Length || IsGood(page, suspect.Page))
                {
                    continue;
                }

                var hash = XxHash3.HashToUInt64(page);
                if (hash == before)
                {
                    wrong.Add(Wrong(suspect));
                }
                else
                {
                    changing.Add((suspect, hash));
                }
            }

            open = changing;
        }

        wrong.AddRange(open.Select(o => Wrong(o.Suspect)));
        return wrong;
    }

    /// <summary>The suspected pages as they are, for who can't read them again.</summary>
    public List<WrongPage> Suspects() => _suspects.ConvertAll(Wrong);

    private bool IsGood(ReadOnlySpan<byte> page, long number) =>
        PageChecksum.Stored(page) == PageChecksum.Of(page, (uint)BlockOf(number)) || PageChecksum.IsEmpty(page);

    private WrongPage Wrong((long Page, ulong Hash, Lsn Lsn) suspect) => new(path, BlockOf(suspect.Page), suspect.Lsn);

    private long BlockOf(long page) => ((long)file.Segment * rules.SegmentBlocks) + page;
}
