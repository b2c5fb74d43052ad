using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Pieces of a segment become the segment again as far as they reach, and nothing else.</summary>
public sealed class WalPiecesTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Random _random = TestRun.NewRandom();
    private readonly WalSegment _segment = ReceivedWal.Segment(7);
    private readonly WalPieces _pieces;
    private readonly byte[] _bytes;

    public WalPiecesTests()
    {
        _pieces = new WalPieces(new LocalObjectStore(_folder.Path), ReceivedWal.System);
        _bytes = ReceivedWal.Bytes(_segment, _random);
    }

    private static Seal Seal { get; } = new(new Compression(CompressionMethod.Zstd, 1, 0), null, []);

    [Fact]
    public async Task Pieces_of_any_size_join_to_the_segment_with_zeros_behind_them()
    {
        var at = 0;
        while (at < 700_000)
        {
            var to = at + _random.Next(1, 100_000);
            await PutAsync(at, to);
            at = to;
        }

        var (joined, bytes) = await JoinAsync();

        Assert.Equal(at, bytes);
        Assert.Equal(ReceivedWal.SegmentBytes, joined.Length);
        Assert.Equal(_bytes[..at], joined[..at]);
        Assert.False(joined.AsSpan(at).ContainsAnyExcept((byte)0));
        Assert.Equal(at, await _pieces.EndAsync(ReceivedWal.Name(_segment), TestRun.Cancel));
    }

    [Fact]
    public async Task What_comes_after_a_gap_is_left_out()
    {
        await PutAsync(0, 1000);
        await PutAsync(1001, 2000);

        var (joined, bytes) = await JoinAsync();

        Assert.Equal(1000, bytes);
        Assert.False(joined.AsSpan(1000).ContainsAnyExcept((byte)0));
        Assert.Equal(1000, await _pieces.EndAsync(ReceivedWal.Name(_segment), TestRun.Cancel));
    }

    [Fact]
    public async Task Without_the_first_piece_there_is_nothing()
    {
        await PutAsync(1, 2000);

        Assert.Null(await TryJoinAsync());
        Assert.Equal(0, await _pieces.EndAsync(ReceivedWal.Name(_segment), TestRun.Cancel));
    }

    [Fact]
    public async Task Overlapping_pieces_of_two_receivers_join_when_they_are_equal()
    {
        await PutAsync(0, 5000);
        await PutAsync(0, 3000);
        await PutAsync(2000, 9000);
        await PutAsync(4000, 4500);

        var (joined, bytes) = await JoinAsync();

        Assert.Equal(9000, bytes);
        Assert.Equal(_bytes[..9000], joined[..9000]);
    }

    [Fact]
    public async Task Overlapping_pieces_that_differ_are_damage()
    {
        await PutAsync(0, 5000);
        _bytes[4999] ^= 1;
        await PutAsync(4000, 9000);

        var error = await Assert.ThrowsAsync<BackupException>(TryJoinAsync);

        Assert.Equal(ErrorKind.Verification, error.Kind);
        Assert.Contains("contradicts another piece", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_piece_is_told_by_its_name()
    {
        await PutAsync(0, 1000);
        await PutAsync(1000, 2000);
        var name = new WalPiece(ReceivedWal.Name(_segment), 1000, 2000).Name;
        var file = Path.Combine(_folder.Path, $"{ReceivedWal.System}", "streaming", name);
        var other = Path.Combine(_folder.Path, $"{ReceivedWal.System}", "streaming", new WalPiece(ReceivedWal.Name(_segment), 0, 1000).Name);
        File.Copy(other, file, overwrite: true);

        var error = await Assert.ThrowsAsync<BackupException>(TryJoinAsync);

        Assert.Equal(ErrorKind.Verification, error.Kind);
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pieces_of_another_segment_under_this_name_are_refused()
    {
        ReceivedWal.Bytes(ReceivedWal.Segment(8), _random).CopyTo(_bytes, 0);
        await PutAsync(0, 1000);

        Assert.Equal(ErrorKind.Verification, (await Assert.ThrowsAsync<BackupException>(TryJoinAsync)).Kind);
    }

    [Fact]
    public async Task The_same_piece_again_is_taken_and_another_content_is_not()
    {
        await PutAsync(0, 1000);
        await PutAsync(0, 1000);
        var before = _folder.Files().ToDictionary(static f => f, f => File.ReadAllBytes(_folder[f]));
        _bytes[500] ^= 1;

        var error = await Assert.ThrowsAsync<BackupException>(() => PutAsync(0, 1000));

        Assert.Contains("with other content", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, _folder.Files().ToDictionary(static f => f, f => File.ReadAllBytes(_folder[f])));
    }

    [Fact]
    public async Task The_pieces_of_one_segment_are_removed_with_their_sums_and_no_other()
    {
        await PutAsync(0, 1000);
        await PutAsync(1000, 2000);
        var other = new WalPiece(ReceivedWal.Name(ReceivedWal.Segment(8)), 0, 1000);
        await _pieces.PutAsync(other, _bytes.AsMemory(0, 1000), Seal, TestRun.Cancel);

        await _pieces.DeleteAsync(ReceivedWal.Name(_segment), TestRun.Cancel);

        var folder = $"{ReceivedWal.System}/streaming/";
        Assert.Equal([$"{folder}{other.Name}", $"{folder}{other.Name}.sha256"], _folder.Files());
    }

    [Theory]
    [InlineData("000000010000000000000007.00000000-00001000", true)]
    [InlineData("000000010000000000000007.00001000-00001000", false)]
    [InlineData("000000010000000000000007.00000000-00001000.sha256", false)]
    [InlineData("000000010000000000000007.0-1000", false)]
    [InlineData("00000001.history.00000000-00001000", false)]
    [InlineData("000000010000000000000007.00000000-00001000\n", false)]
    public void A_name_of_a_piece_has_its_offsets_in_eight_digits(string name, bool isOne)
    {
        Assert.Equal(isOne ? name : null, WalPiece.TryParse(name)?.Name);
    }

    public void Dispose() => _folder.Dispose();

    private Task PutAsync(int from, int to) => _pieces.PutAsync(
        new WalPiece(ReceivedWal.Name(_segment), from, to), _bytes.AsMemory(from, to - from), Seal, TestRun.Cancel);

    private async Task<(byte[] Joined, long Bytes)> JoinAsync()
    {
        var joined = await TryJoinAsync();
        Assert.NotNull(joined);
        return joined.Value;
    }

    private async Task<(byte[] Joined, long Bytes)?> TryJoinAsync()
    {
        using var target = new MemoryStream();
        return await _pieces.JoinAsync(ReceivedWal.Name(_segment), target, NoProvider, TestRun.Cancel) is var (segment, bytes)
            && segment == _segment
            ? (target.ToArray(), bytes)
            : null;
    }

    private static IEncryptionProvider NoProvider(EncryptionMethod method) => throw new InvalidOperationException($"{method} was not used");
}
