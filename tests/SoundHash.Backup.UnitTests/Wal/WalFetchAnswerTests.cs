using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>What is archived while a segment is looked for is never answered with the end of the log, nor with a gap.</summary>
public sealed class WalFetchAnswerTests : IDisposable
{
    private static readonly WalSegment Asked = TestWal.Segment(1, 5);
    private static readonly WalFileName Name = TestWal.Name(Asked.Name);
    private readonly TempFolder _archive = new();
    private readonly TempFolder _data = new();
    private readonly TempFolder _files = new();
    private readonly FakeTime _time = new();
    private readonly RecordingLog _log = new();
    private readonly WatchedStore _store;
    private readonly WalArchive _wal;
    private readonly WalPieces _pieces;
    private readonly WalFetchAnswer _answer;

    public WalFetchAnswerTests()
    {
        _store = new WatchedStore(new LocalObjectStore(_archive.Path));
        _wal = new WalArchive(_store, TestWal.System);
        _pieces = new WalPieces(_store, TestWal.System);
        _answer = new WalFetchAnswer(
            new WalFetch([_wal], NoKey, _time, _log.Log),
            new WalFetchPieces(_store, _wal, NoKey, _log.Log),
            new WalFetchGap(_wal, NoKey, _log.Log),
            _time,
            _log.Log);
        Directory.CreateDirectory(_data["pg_wal"]);
        File.WriteAllText(_data["recovery.signal"], string.Empty);
    }

    // A receiver archives the segment, then removes its pieces: before they are looked for, before or after the first of them is gone,
    // and before they are read.
    [Theory]
    [InlineData("listed", 2)]
    [InlineData("listed", 1)]
    [InlineData("listed", 0)]
    [InlineData("joined", 2)]
    [InlineData("joined", 1)]
    [InlineData("read", 2)]
    public async Task A_segment_that_becomes_whole_while_its_pieces_are_looked_at_is_brought_whole(string when, int piecesThatAreGone)
    {
        var bytes = TestWal.Bytes(Asked, filler: 7);
        await ArchiveAsync(Asked.Number - 1);
        WalPiece[] stored = [new(Name, 0, 1000), new(Name, 1000, 2000)];
        foreach (var piece in stored)
        {
            await _pieces.PutAsync(piece, bytes.AsMemory((int)piece.From, (int)(piece.To - piece.From)), RepositoryFixture.Plain, TestRun.Cancel);
        }

        var looks = 0;
        _store.BeforeList = prefix => prefix.Contains("/streaming/", StringComparison.Ordinal) && ++looks == (when == "listed" ? 1 : 3)
            && when != "read" ? BecomesWholeAsync() : Task.CompletedTask;
        _store.BeforeRead = key => when == "read" && key.EndsWith(stored[1].Name, StringComparison.Ordinal) ? BecomesWholeAsync() : Task.CompletedTask;

        Assert.Equal(WalFetched.Whole, await RunAsync());

        Assert.Equal(bytes, await File.ReadAllBytesAsync(_data["pg_wal/RECOVERYXLOG"], TestRun.Cancel));
        Assert.DoesNotContain(_log.Messages(Serilog.Events.LogEventLevel.Information), static m => m.Contains("was never whole", StringComparison.Ordinal));

        async Task BecomesWholeAsync()
        {
            (_store.BeforeList, _store.BeforeRead) = (static _ => Task.CompletedTask, static _ => Task.CompletedTask);
            await _wal.PutAsync(_files, Asked.Name, bytes);
            // The last ones first, so that those that are left can be joined.
            foreach (var piece in stored.Reverse().Take(piecesThatAreGone))
            {
                await _store.DeleteAsync(WalLayout.KeyOf(TestWal.System, piece), TestRun.Cancel);
            }
        }
    }

    [Fact]
    public async Task A_segment_that_is_archived_after_a_later_one_is_brought_when_it_comes()
    {
        await ArchiveAsync(Asked.Number + 1);
        var running = RunAsync();
        await _time.UntilSomebodyWaitsAsync();

        await ArchiveAsync(Asked.Number);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(WalFetched.Whole, await running);
    }

    [Fact]
    public async Task A_gap_is_one_when_it_still_is_after_some_seconds()
    {
        await ArchiveAsync(Asked.Number + 1);
        var began = _time.GetTimestamp();
        var running = RunAsync();
        while (await Task.WhenAny(running, _time.UntilSomebodyWaitsAsync()) != running)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Contains("that is a gap", (await Assert.ThrowsAsync<BackupException>(() => running)).Message, StringComparison.Ordinal);
        Assert.InRange(_time.GetElapsedTime(began).TotalSeconds, 3, 15);
    }

    [Theory]
    [InlineData("recovery.signal")]
    [InlineData("standby.signal")]
    public async Task What_is_not_there_is_said_at_once(string signal)
    {
        File.Move(_data["recovery.signal"], _data[signal]);
        await ArchiveAsync(Asked.Number - 1);

        // Nobody moves the clock.
        Assert.Equal(WalFetched.Absent, await RunAsync());
    }

    [Fact]
    public async Task A_standby_is_not_kept_waiting_at_a_gap()
    {
        File.Move(_data["recovery.signal"], _data["standby.signal"]);
        await ArchiveAsync(Asked.Number + 1);

        Assert.Equal(WalFetched.Absent, await RunAsync());
    }

    public void Dispose()
    {
        _archive.Dispose();
        _data.Dispose();
        _files.Dispose();
    }

    private static IEncryptionProvider NoKey(EncryptionMethod method) => throw new InvalidOperationException($"nothing is encrypted with {method}");

    // One that waits for a clock that nobody moves ends too.
    private Task<WalFetched> RunAsync() => _answer
        .RunAsync(Name, new DataDirectory(_data.Path, TestWal.System), _data["pg_wal/RECOVERYXLOG"], TestRun.Cancel)
        .WaitAsync(TimeSpan.FromSeconds(30), TestRun.Cancel);

    private Task<WalPutResult> ArchiveAsync(ulong number) =>
        _wal.PutAsync(_files, TestWal.Segment(1, number).Name, TestWal.Bytes(TestWal.Segment(1, number)));
}
