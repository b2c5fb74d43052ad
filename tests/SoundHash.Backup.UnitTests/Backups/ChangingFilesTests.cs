using System.Formats.Tar;
using SoundHash.Backup.Backups.Physical;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Backups;

/// <summary>A server works on its files while they are read: they shrink, grow and vanish, and whatever else happens to them is an error.</summary>
public sealed class ChangingFilesTests : IAsyncLifetime
{
    private static readonly RelationFile Relation = RelationFile.TryParse("16384")!.Value;

    private readonly TempFolder _data = new();
    private readonly RecordingLog _log = new();
    private RepositoryFixture _repository = null!;

    public async ValueTask InitializeAsync() => _repository = await RepositoryFixture.OpenAsync();

    public ValueTask DisposeAsync()
    {
        _data.Dispose();
        return _repository.DisposeAsync();
    }

    // In pieces that are not as large as what was asked for, and with the end where the test says.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(StreamCopy.ChunkBytes - 1)]
    [InlineData(StreamCopy.ChunkBytes)]
    [InlineData(StreamCopy.ChunkBytes + 8192)]
    public async Task What_a_file_shrank_by_while_it_was_read_is_zeros(int left)
    {
        const int Listed = (2 * StreamCopy.ChunkBytes) + 100;
        var bytes = NewRandom().Noise(left);
        var meter = new TransferMeter(new FakeTime());
        await using var content = new EntryContent(Piecewise(bytes), Listed, null, meter);
        using var copy = new MemoryStream();

        await content.CopyToAsync(copy, Cancel);

        byte[] expected = [.. bytes, .. new byte[Listed - left]];
        Assert.Equal(expected, copy.ToArray());
        Assert.Equal(Crc32C.Of(expected), content.Crc);
        Assert.Equal(Convert.ToHexStringLower(System.IO.Hashing.XxHash128.Hash(expected)), content.XxHash);
        Assert.Equal(Listed, meter.Bytes);
    }

    [Fact]
    public async Task Once_at_its_end_a_file_that_grows_again_gives_no_more()
    {
        var reads = 0;
        await using var content = new EntryContent(
            (buffer, _, _) =>
            {
                buffer.Span[0] = 7;
                return ValueTask.FromResult(reads++ == 1 ? 0 : 1);
            },
            (2 * StreamCopy.ChunkBytes) + 1,
            null,
            new TransferMeter(new FakeTime()));
        using var copy = new MemoryStream();

        await content.CopyToAsync(copy, Cancel);

        Assert.Equal(2, reads);
        Assert.Equal(7, copy.ToArray()[0]);
        Assert.Equal(-1, copy.ToArray().AsSpan(1).IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public async Task What_a_file_grew_by_is_not_read()
    {
        var bytes = NewRandom().Noise(StreamCopy.ChunkBytes + 5000);
        await using var content = new EntryContent(Piecewise(bytes), StreamCopy.ChunkBytes + 100, null, new TransferMeter(new FakeTime()));
        using var copy = new MemoryStream();

        await content.CopyToAsync(copy, Cancel);

        Assert.Equal(bytes[..(StreamCopy.ChunkBytes + 100)], copy.ToArray());
    }

    [Fact]
    public async Task A_relation_has_the_size_it_was_listed_with_and_another_file_the_one_it_has_now()
    {
        var written = await WriteAsync(
            File("grew", "more than listed", 4, Relation), File("shrank", "less", 7, Relation), File("other", "all of it", 3, null));

        Assert.Equal([("grew", "more"), ("shrank", "less\0\0\0"), ("other", "all of it")], written.Entries);
        Assert.Equal([4, 7, 9], written.Volume.Files.Select(static f => f.Size));
        Assert.Equal(Crc32C.Of("less\0\0\0"u8), written.Volume.Files[1].Crc);
    }

    [Theory]
    [InlineData("absent")]
    [InlineData("absent-directory/16384")]
    public async Task A_file_that_vanished_is_left_out_and_the_others_are_not(string gone)
    {
        var written = await WriteAsync(File("before", "1", 1, Relation), Missing(gone), File("after", "2", 1, Relation));

        Assert.Equal([("before", "1"), ("after", "2")], written.Entries);
        Assert.Equal(["before", "after"], written.Volume.Files.Select(static f => f.Path));
        Assert.Contains(_log.Messages(Serilog.Events.LogEventLevel.Debug), m => m.Contains(gone, StringComparison.Ordinal));
    }

    // A disk's error, a permission and the like: the file is there, and belongs to the cluster.
    [Theory]
    [InlineData("loop")]
    [InlineData("directory")]
    [InlineData("unreadable")]
    public async Task Any_other_error_fails_the_backup_by_the_file_s_name(string path)
    {
        System.IO.File.CreateSymbolicLink(_data["loop"], _data["loop"]);
        Directory.CreateDirectory(_data["directory"]);
        // It opens, and its first byte can't be read.
        System.IO.File.CreateSymbolicLink(_data["unreadable"], "/proc/self/mem");

        var e = await Assert.ThrowsAsync<BackupException>(() => WriteAsync(File("before", "1", 1, Relation), Missing(path)));

        Assert.Equal(ErrorKind.Failed, e.Kind);
        Assert.StartsWith($"can't read {_data[path]}: ", e.Message, StringComparison.Ordinal);
        Assert.NotNull(e.Hint);
        Assert.DoesNotContain(_repository.Files(), static f => f.EndsWith(".tar", StringComparison.Ordinal));
    }

    private DataFile Missing(string path) => new(path, _data[path], 8192, DateTimeOffset.UnixEpoch, UnixFileMode.UserRead, Relation);

    private DataFile File(string path, string text, long listed, RelationFile? relation) =>
        new(path, _data.Write(path, text), listed, DateTimeOffset.UnixEpoch, UnixFileMode.UserRead, relation);

    private async Task<(StoredVolume Volume, List<(string, string)> Entries)> WriteAsync(params DataFile[] files)
    {
        await using var set = await _repository.BeginAsync();
        var volume = await new VolumeWriter(set, null, new TransferMeter(new FakeTime()), new FakeTime(), _log.Log).WriteAsync(0, files, Cancel);
        var entries = new List<(string, string)>();
        await using var file = System.IO.File.OpenRead(Path.Combine(_repository.Folder, "sets", set.Id, volume.Object.Key));
        await using var tar = new TarReader(file);
        while (await tar.GetNextEntryAsync(copyData: true, Cancel) is { } entry)
        {
            using var text = new StreamReader(entry.DataStream!);
            entries.Add((entry.Name, await text.ReadToEndAsync(Cancel)));
        }

        return (volume, entries);
    }

    private static ReadPiece Piecewise(byte[] bytes) => (buffer, offset, _) =>
    {
        var count = (int)Math.Min(Math.Min(buffer.Length, 3 * 4096), Math.Max(0, bytes.Length - offset));
        bytes.AsMemory((int)Math.Min(offset, bytes.Length), count).CopyTo(buffer);
        return ValueTask.FromResult(count);
    };
}
