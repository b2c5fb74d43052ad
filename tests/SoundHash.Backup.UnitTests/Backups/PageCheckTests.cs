using SoundHash.Backup.Backups.Physical;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Backups;

/// <summary>Which of the pages with a wrong checksum are damaged.</summary>
public sealed class PageCheckTests
{
    private const int PageBytes = 8192;
    private static readonly Lsn Start = new(1000), Stop = new(2000);

    [Theory]
    [InlineData(999, true)]
    [InlineData(1000, false)]
    [InlineData(2000, false)]
    [InlineData(2001, true)]
    public void A_page_that_replay_writes_anew_is_none_and_any_other_is(ulong lsn, bool damaged)
    {
        var end = new BackupEnd(string.Empty, 1, Start, Stop);

        Assert.Equal(damaged ? 1 : 0, WrongPage.Damaged([new WrongPage("base/5/1", 7, new Lsn(lsn))], end).Count);
    }

    [Theory]
    [InlineData("the same", true)]
    [InlineData("different", true)]
    [InlineData("right", false)]
    [InlineData("right in the end", false)]
    [InlineData("gone", false)]
    public async Task A_page_is_wrong_until_it_is_read_right(string then, bool wrong)
    {
        var check = new PageCheck(new PageRules(PageBytes, 131072), RelationFile.TryParse("16384.1")!.Value, "base/5/16384.1");
        check.Add(Page(1), PageBytes);
        var readings = 0;

        var found = await check.JudgeAsync(Read, new PatientTime(), Cancel);

        Assert.Equal(wrong ? [131073L] : [], found.Select(static p => p.Block));

        int Read(Memory<byte> buffer, long offset)
        {
            Assert.Equal(PageBytes, offset);
            readings++;
            var page = then switch
            {
                "the same" => Page(1),
                "right" => Right(),
                "right in the end" when readings == 4 => Right(),
                "gone" => Array.Empty<byte>(),
                _ => Page((byte)(readings + 1)),
            };
            page.CopyTo(buffer);
            return page.Length;
        }
    }

    private static byte[] Page(byte content) => [.. Enumerable.Repeat(content, PageBytes)];

    private static byte[] Right()
    {
        var page = Page(9);
        var sum = PageChecksum.Of(page, 131073);
        (page[8], page[9]) = ((byte)sum, (byte)(sum >> 8));
        return page;
    }

    // Every wait is over at once.
    private sealed class PatientTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
