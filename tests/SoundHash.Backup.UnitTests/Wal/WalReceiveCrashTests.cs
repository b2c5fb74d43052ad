using Serilog.Core;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>What was received before a crash of the receiver's machine reaches the archive as far as it is sure, and no further.</summary>
public sealed class WalReceiveCrashTests : IDisposable
{
    private readonly TempFolder _spool = new();
    private readonly TempFolder _archive = new();
    private readonly Random _random = TestRun.NewRandom();
    private readonly WalReceiveFolder _folder;
    private readonly WatchedStore _store;
    private readonly WalReceiveUpload _upload;

    public WalReceiveCrashTests()
    {
        _folder = new WalReceiveFolder(_spool.Path, ReceivedWal.System);
        _folder.Make();
        _archive.Write($"{ReceivedWal.System}/archive.json", "{}");
        _store = new WatchedStore(new LocalObjectStore(_archive.Path));
        _upload = Upload();
    }

    // Pages that never reached the disk, though later ones did; and one of which only the state before its last bytes were written did.
    [Theory]
    [InlineData(20_480, 4096)]
    [InlineData(20_480 - 200, 200)]
    [InlineData(20_480 - 8, 8)]
    [InlineData(0, 4096)]
    public async Task After_a_crash_of_the_machine_only_what_is_sure_is_stored_and_the_rest_is_put_aside_and_received_anew(int hole, int length)
    {
        var (bytes, ends) = ReceivedWal.Log(ReceivedWal.Segment(5), _random, 50_000);
        bytes.AsSpan(hole, length).Clear();
        var sure = ends.LastOrDefault(e => e <= hole);
        var path = PathOf(ReceivedWal.Segment(5));
        await File.WriteAllBytesAsync(path, bytes, TestRun.Cancel);
        Crash();

        await _upload.UploadLeftoversAsync(TestRun.Cancel);

        // Behind a record are up to seven zeros.
        Assert.InRange((await PiecesAsync()).Sum(static p => p.To - p.From), Math.Max(0, sure - 7), sure);
        Assert.Equal(0, new FileInfo(path).Length);
        Assert.Equal(bytes, await File.ReadAllBytesAsync($"{path}.unsynced", TestRun.Cancel));
        Assert.True(_folder.IsOfThisBoot);

        File.Move(path, path[..^".partial".Length]);
        await File.WriteAllBytesAsync(path[..^".partial".Length], ReceivedWal.Bytes(ReceivedWal.Segment(5), _random), TestRun.Cancel);
        await _upload.ArchiveAsync(TestRun.Cancel);
        Assert.False(File.Exists($"{path}.unsynced"));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task What_the_first_start_after_a_crash_could_not_store_is_stored_by_the_next_one_or_when_the_stream_ends(bool isFull, bool isNextStart)
    {
        var sure = Write(ReceivedWal.Segment(5), 50_000);
        Crash();

        await FailToUploadAsync(isFull);

        Assert.Empty(await PiecesAsync());
        Assert.Equal(0, new FileInfo(PathOf(ReceivedWal.Segment(5))).Length);
        Assert.True(_folder.IsOfThisBoot);

        using var next = Upload();
        await (isNextStart ? next.UploadLeftoversAsync(TestRun.Cancel) : _upload.DrainAsync(TestRun.Cancel));

        Assert.InRange((await PiecesAsync()).Sum(static p => p.To - p.From), sure - 7, sure);
        Assert.True(File.Exists($"{PathOf(ReceivedWal.Segment(5))}.unsynced"));

        await next.UploadLeftoversAsync(TestRun.Cancel);
        Assert.Single(await PiecesAsync());
    }

    // A second crash, before the segment was received again as far as it was in the first one.
    [Theory]
    [InlineData(50_000, 20_000)]
    [InlineData(20_000, 50_000)]
    public async Task Of_two_crashes_that_is_kept_which_is_sure_further(int first, int second)
    {
        var further = Write(ReceivedWal.Segment(5), first);
        Crash();
        await FailToUploadAsync(isFull: true);
        further = Math.Max(Write(ReceivedWal.Segment(5), second), further);
        Crash();
        await FailToUploadAsync(isFull: true);

        await _upload.UploadLeftoversAsync(TestRun.Cancel);

        Assert.InRange((await PiecesAsync()).Sum(static p => p.To - p.From), further - 7, further);
    }

    [Fact]
    public async Task Nothing_unsure_of_a_timeline_that_was_left_is_stored_and_it_is_kept()
    {
        const int Hole = 20_480;
        var (bytes, ends) = ReceivedWal.Log(ReceivedWal.Segment(5), _random, 50_000);
        bytes.AsSpan(Hole, 4096).Clear();
        await File.WriteAllBytesAsync(PathOf(ReceivedWal.Segment(5)), bytes, TestRun.Cancel);
        Write(ReceivedWal.Segment(5, timeline: 2), 30_000);
        Crash();

        await _upload.UploadLeftoversAsync(TestRun.Cancel);
        await _upload.DrainAsync(TestRun.Cancel);

        Assert.InRange((await PiecesAsync()).Where(static p => p.Segment.TimelineNumber == 1).Max(static p => p.To), 1, ends.Last(static e => e <= Hole));
        Assert.Equal(bytes, await File.ReadAllBytesAsync($"{PathOf(ReceivedWal.Segment(5))}.unsynced", TestRun.Cancel));
        Assert.False(File.Exists(PathOf(ReceivedWal.Segment(5))));
    }

    [Fact]
    public async Task What_was_put_aside_goes_when_another_one_has_archived_its_segment()
    {
        Write(ReceivedWal.Segment(5), 50_000);
        Crash();
        await FailToUploadAsync(isFull: true);
        var key = $"{ReceivedWal.System}/00000001/{ReceivedWal.Segment(5).Name}";
        await _store.WriteAsync($"{key}.sha256", new byte[1], WriteMode.CreateNew, TestRun.Cancel);
        await _store.WriteAsync(key, new byte[1], WriteMode.CreateNew, TestRun.Cancel);

        await _upload.UploadLeftoversAsync(TestRun.Cancel);

        Assert.Empty(await PiecesAsync());
        Assert.False(File.Exists($"{PathOf(ReceivedWal.Segment(5))}.unsynced"));
    }

    public void Dispose()
    {
        _upload.Dispose();
        _spool.Dispose();
        _archive.Dispose();
    }

    private WalReceiveUpload Upload()
    {
        var seal = new Seal(new Compression(CompressionMethod.None, null, 0), null, []);
        var archives = new WalArchives([_store], ReceivedWal.System, 1, behind: null, Logger.None);
        return new WalReceiveUpload(_folder, archives, seal, 2, new WalReceiveProgress(new FakeTime()), Logger.None);
    }

    private void Crash() => File.WriteAllText(_spool[$"{ReceivedWal.System}/boot"], "another run of the machine");

    // The start fails as on a full disk, or is ended by systemd.
    private async Task FailToUploadAsync(bool isFull)
    {
        using var upload = Upload();
        using var stop = new CancellationTokenSource();
        _store.BeforeWrite = key =>
        {
            stop.Cancel();
            throw isFull ? new StorageException($"can't write {key}: No space left on device") : new OperationCanceledException(stop.Token);
        };
        try
        {
            await Assert.ThrowsAnyAsync<Exception>(() => upload.UploadLeftoversAsync(stop.Token));
        }
        finally
        {
            _store.BeforeWrite = static _ => Task.CompletedTask;
        }
    }

    // Returns where the last record ends.
    private int Write(WalSegment segment, int received)
    {
        var (bytes, ends) = ReceivedWal.Log(segment, _random, received);
        File.WriteAllBytes(PathOf(segment), bytes);
        return ends[^1];
    }

    private string PathOf(WalSegment segment) => _spool[$"{ReceivedWal.System}/{segment.Name}.partial"];

    private async Task<List<WalPiece>> PiecesAsync()
    {
        var found = new List<WalPiece>();
        await foreach (var piece in new WalPieces(_store, ReceivedWal.System).ListAsync(null, TestRun.Cancel))
        {
            found.Add(piece);
        }

        return found;
    }
}
