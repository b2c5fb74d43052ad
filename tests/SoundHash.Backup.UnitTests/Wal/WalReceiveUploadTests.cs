using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>What is received reaches the archive in order, never more than was received, and leaves the folder only then.</summary>
public sealed class WalReceiveUploadTests : IDisposable
{
    private readonly TempFolder _spool = new();
    private readonly TempFolder _archive = new();
    private readonly Random _random = TestRun.NewRandom();
    private readonly WalReceiveFolder _folder;
    private readonly WalReceiveProgress _progress = new(new FakeTime());
    private readonly LocalObjectStore _store;
    private readonly WalReceiveUpload _upload;

    public WalReceiveUploadTests()
    {
        _folder = new WalReceiveFolder(_spool.Path, ReceivedWal.System);
        _folder.Make();
        _folder.RememberBoot();
        _archive.Write($"{ReceivedWal.System}/archive.json", "{}");
        _store = new LocalObjectStore(_archive.Path);
        _upload = UploadTo(_store);
    }

    [Fact]
    public async Task A_piece_ends_where_the_stream_is_known_to_have_written_though_more_is_in_the_file()
    {
        var bytes = Write(ReceivedWal.Segment(5), 50_000, isPartial: true);
        Received(5, 30_000);

        await _upload.FlushAsync(TestRun.Cancel);

        var piece = Assert.Single(await PiecesAsync());
        Assert.Equal((0, 30_000), (piece.From, piece.To));
        Assert.Equal(bytes[..30_000], await File.ReadAllBytesAsync(PathOf(piece), TestRun.Cancel));
    }

    [Fact]
    public async Task A_piece_goes_on_where_the_last_one_ended_after_a_restart_too()
    {
        Write(ReceivedWal.Segment(5), 50_000, isPartial: true);
        Received(5, 30_000);
        await _upload.FlushAsync(TestRun.Cancel);
        Received(5, 40_000);
        await _upload.FlushAsync(TestRun.Cancel);
        using var next = UploadTo(_store);

        // A new stream begins at the segment's beginning: the server has heard of less than was stored.
        Received(5, 10_000);
        await next.FlushAsync(TestRun.Cancel);
        await next.UploadLeftoversAsync(TestRun.Cancel);

        Assert.Equal([(0, 30_000), (30_000, 40_000), (40_000, 50_000)], (await PiecesAsync()).Select(static p => (p.From, p.To)));
    }

    [Fact]
    public async Task Zeros_that_were_never_received_are_never_stored()
    {
        Write(ReceivedWal.Segment(5), 10_000, isPartial: true);
        // What the server heard may be of the old timeline, in the instant after a switch.
        Received(5, 60_000);

        await _upload.FlushAsync(TestRun.Cancel);

        Assert.Equal(10_000, Assert.Single(await PiecesAsync()).To);
    }

    [Fact]
    public async Task Without_a_position_and_with_one_of_another_segment_nothing_is_stored()
    {
        Write(ReceivedWal.Segment(5), 10_000, isPartial: true);

        await _upload.FlushAsync(TestRun.Cancel);
        Received(4, 5000);
        await _upload.FlushAsync(TestRun.Cancel);
        Received(6, 5000);
        await _upload.FlushAsync(TestRun.Cancel);

        Assert.Empty(await PiecesAsync());
    }

    [Fact]
    public async Task A_whole_segment_is_archived_its_pieces_go_and_the_newest_file_stays()
    {
        Write(ReceivedWal.Segment(5), 20_000, isPartial: true);
        Received(5, 20_000);
        await _upload.FlushAsync(TestRun.Cancel);
        File.Delete(_spool[$"{ReceivedWal.System}/{ReceivedWal.Segment(5).Name}.partial"]);
        var whole = Write(ReceivedWal.Segment(5), ReceivedWal.SegmentBytes, isPartial: false);

        await _upload.ArchiveAsync(TestRun.Cancel);

        var archived = _archive[$"{ReceivedWal.System}/00000001/{ReceivedWal.Segment(5).Name}"];
        Assert.Equal(whole, await File.ReadAllBytesAsync(archived, TestRun.Cancel));
        Assert.Empty(await PiecesAsync());
        Assert.Equal([ReceivedWal.Segment(5).Name], Names());

        Write(ReceivedWal.Segment(6), 100, isPartial: true);
        await _upload.ArchiveAsync(TestRun.Cancel);
        Assert.Equal([$"{ReceivedWal.Segment(6).Name}.partial"], Names());
    }

    [Fact]
    public async Task No_piece_is_stored_before_the_segment_ahead_of_it_is_archived()
    {
        Write(ReceivedWal.Segment(5), ReceivedWal.SegmentBytes, isPartial: false);
        Write(ReceivedWal.Segment(6), 5000, isPartial: true);
        Received(6, 5000);

        await _upload.FlushAsync(TestRun.Cancel);
        Assert.Empty(await PiecesAsync());

        await _upload.ArchiveAsync(TestRun.Cancel);
        await _upload.FlushAsync(TestRun.Cancel);
        Assert.Single(await PiecesAsync());
    }

    [Fact]
    public async Task What_can_not_be_archived_stays()
    {
        Write(ReceivedWal.Segment(5), ReceivedWal.SegmentBytes, isPartial: false);
        Write(ReceivedWal.Segment(6), 5000, isPartial: true);
        var before = Names();
        using var blocked = UploadTo(new LocalObjectStore(_spool.Write("no-directory", string.Empty)));

        Assert.Equal(ErrorKind.Storage, (await Assert.ThrowsAsync<StorageException>(() => blocked.DrainAsync(TestRun.Cancel))).Kind);

        Assert.Equal(before, Names());
    }

    [Fact]
    public async Task An_archive_that_has_gone_with_its_disk_is_not_made_anew_and_what_was_received_stays()
    {
        Write(ReceivedWal.Segment(5), ReceivedWal.SegmentBytes, isPartial: false);
        Write(ReceivedWal.Segment(6), 5000, isPartial: true);
        await _upload.DrainAsync(TestRun.Cancel);
        Directory.Move(_archive[$"{ReceivedWal.System}"], _spool["elsewhere"]);
        Write(ReceivedWal.Segment(6), ReceivedWal.SegmentBytes, isPartial: false);
        Write(ReceivedWal.Segment(7), 5000, isPartial: true);
        var before = Names();

        foreach (var upload in (Func<CancellationToken, Task>[])[_upload.ArchiveAsync, _upload.DrainAsync, _upload.UploadLeftoversAsync])
        {
            var error = await Assert.ThrowsAsync<StorageException>(() => upload(TestRun.Cancel));
            Assert.Contains("is gone from store", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(before, Names());
        Assert.Empty(_archive.Files());
        Directory.Move(_spool["elsewhere"], _archive[$"{ReceivedWal.System}"]);
        await _upload.DrainAsync(TestRun.Cancel);
        Assert.True(File.Exists(_archive[$"{ReceivedWal.System}/00000001/{ReceivedWal.Segment(6).Name}"]));
    }

    [Fact]
    public async Task WAL_of_another_cluster_or_under_a_wrong_name_is_never_archived()
    {
        var bytes = ReceivedWal.Bytes(ReceivedWal.Segment(5), _random);
        bytes[24] ^= 1;
        await File.WriteAllBytesAsync(_spool[$"{ReceivedWal.System}/{ReceivedWal.Segment(5).Name}"], bytes, TestRun.Cancel);

        var error = await Assert.ThrowsAsync<BackupException>(() => _upload.ArchiveAsync(TestRun.Cancel));

        Assert.Equal(ErrorKind.Verification, error.Kind);
        Assert.Equal([$"{ReceivedWal.System}/archive.json"], _archive.Files());
    }

    [Fact]
    public async Task The_end_of_a_timeline_is_stored_before_its_file_goes()
    {
        var old = Write(ReceivedWal.Segment(5), 30_000, isPartial: true);
        Write(ReceivedWal.Segment(5, timeline: 2), 5000, isPartial: true);

        await _upload.ArchiveAsync(TestRun.Cancel);

        var piece = Assert.Single(await PiecesAsync());
        Assert.Equal(("00000001", 30_000), (piece.Segment.Timeline, piece.To));
        Assert.Equal(old[..30_000], await File.ReadAllBytesAsync(PathOf(piece), TestRun.Cancel));
        Assert.Equal([$"{ReceivedWal.Segment(5, timeline: 2).Name}.partial"], Names());
    }

    [Fact]
    public async Task Pieces_of_a_segment_that_is_archived_by_now_go_at_the_next_start()
    {
        Write(ReceivedWal.Segment(5), 20_000, isPartial: true);
        await _upload.DrainAsync(TestRun.Cancel);
        Assert.Single(await PiecesAsync());
        var key = $"{ReceivedWal.System}/00000001/{ReceivedWal.Segment(5).Name}";
        await _store.WriteAsync(key, new byte[1], WriteMode.CreateNew, TestRun.Cancel);
        await _upload.UploadLeftoversAsync(TestRun.Cancel);
        // Without its sum it can't be restored.
        Assert.Single(await PiecesAsync());

        await _store.WriteAsync($"{key}.sha256", new byte[1], WriteMode.CreateNew, TestRun.Cancel);
        await _upload.UploadLeftoversAsync(TestRun.Cancel);

        Assert.Empty(await PiecesAsync());
    }

    [Fact]
    public void A_segment_that_was_still_being_filled_with_zeros_is_emptied_and_an_empty_folder_gets_its_beginning()
    {
        var path = _spool[$"{ReceivedWal.System}/{ReceivedWal.Segment(5).Name}.partial"];
        File.WriteAllBytes(path, new byte[12_345]);

        _folder.Prepare(ReceivedWal.SegmentBytes, ReceivedWal.Segment(9));
        Assert.Equal(0, new FileInfo(path).Length);
        Assert.Single(Names());

        File.Delete(path);
        _folder.Prepare(ReceivedWal.SegmentBytes, ReceivedWal.Segment(9));
        Assert.Equal([$"{ReceivedWal.Segment(9).Name}.partial"], Names());
    }

    public void Dispose()
    {
        _upload.Dispose();
        _spool.Dispose();
        _archive.Dispose();
    }

    private WalReceiveUpload UploadTo(LocalObjectStore store)
    {
        var seal = new Seal(new Compression(CompressionMethod.None, null, 0), null, []);
        var archives = new WalArchives([store], ReceivedWal.System, 1, behind: null, Logger.None);
        return new WalReceiveUpload(_folder, archives, seal, 2, _progress, Logger.None);
    }

    private byte[] Write(WalSegment segment, int received, bool isPartial)
    {
        var bytes = ReceivedWal.Bytes(segment, _random, received);
        File.WriteAllBytes(_spool[$"{ReceivedWal.System}/{segment.Name}{(isPartial ? ".partial" : string.Empty)}"], bytes);
        return bytes;
    }

    private void Received(ulong number, ulong offset)
    {
        var position = new Lsn(ReceivedWal.Segment(number).Start.Value + offset);
        _progress.Saw(new SlotState(true, true, position, "reserved", position, position));
    }

    private async Task<List<WalPiece>> PiecesAsync()
    {
        var found = new List<WalPiece>();
        await foreach (var piece in new WalPieces(_store, ReceivedWal.System).ListAsync(null, TestRun.Cancel))
        {
            found.Add(piece);
        }

        return found.OrderBy(static p => p.Name, StringComparer.Ordinal).ToList();
    }

    private string PathOf(WalPiece piece) => _archive[$"{ReceivedWal.System}/streaming/{piece.Name}"];

    private List<string?> Names() => Directory.GetFiles(_folder.Path, "0*").Select(Path.GetFileName).Order(StringComparer.Ordinal).ToList();
}
