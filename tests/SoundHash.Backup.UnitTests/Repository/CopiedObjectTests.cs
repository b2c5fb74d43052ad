using System.IO.Compression;
using System.IO.Hashing;
using Serilog.Events;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>A copy that turns out to be damaged while it is used costs nothing where another one is good, and nothing wrong is ever given out for right.</summary>
public sealed class CopiedObjectTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly RecordingLog _log = new();
    private readonly byte[] _content = TestRun.NewRandom().Noise(1_000_000);

    private static CancellationToken Cancel => TestRun.Cancel;

    public void Dispose() => _folder.Dispose();

    // The header of a gzip stream, and its CRC, which is seen when all its bytes have been given out.
    [Theory]
    [InlineData(0)]
    [InlineData(-8)]
    public async Task What_was_given_out_and_is_right_is_gone_on_from_another_copy(int at)
    {
        var copies = await CopiesAsync(CompressionMethod.Gzip, at, null);

        Assert.Equal(_content, await ReadAsync(copies));

        Assert.Contains("is read on from another copy", Assert.Single(_log.Messages(LogEventLevel.Warning)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_given_out_and_is_wrong_is_an_error_whatever_other_copies_say()
    {
        var copies = await CopiesAsync(CompressionMethod.None, 1000, null);

        var e = await Assert.ThrowsAsync<BackupException>(() => ReadAsync(copies));

        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.Contains("some of its damaged bytes were used before that was seen", e.Message, StringComparison.Ordinal);
        Assert.Contains("--from STORE", e.Hint, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-8, -8)]
    [InlineData(-8, 0)]
    [InlineData(0, -8)]
    public async Task Two_damaged_copies_make_no_good_one(int near, int far)
    {
        var copies = await CopiesAsync(CompressionMethod.Gzip, near, far);

        var e = await Assert.ThrowsAsync<BackupException>(() => ReadAsync(copies));

        Assert.Equal(ErrorKind.Verification, e.Kind);
    }

    private static async Task<byte[]> ReadAsync(AllCopies copies)
    {
        var manifest = copies.Catalogue.Find("set");
        await using var plain = await SealedObject.OpenPlainAsync(
            copies.Reader, "set", manifest.Objects[0], PlainCheck.Whole, static _ => throw new InvalidOperationException(), Cancel);
        return await plain.ReadAllAsync();
    }

    // Two copies of one set; a bit is flipped at a place of each, which is counted from the end where it is negative.
    private async Task<AllCopies> CopiesAsync(CompressionMethod method, int near, int? far)
    {
        var stored = method == CompressionMethod.None ? _content : Gzip();
        var record = TestSets.Record("database.dump", stored) with
        {
            Compression = method,
            Encryption = EncryptionMethod.None,
            PlainBytes = _content.Length,
            PlainXxHash128 = Convert.ToHexStringLower(XxHash128.Hash(_content)),
        };
        LocalObjectStore[] stores = [new(_folder["near"], name: "near"), new(_folder["far"], name: "far")];
        foreach (var (store, at) in stores.Zip([(int?)near, far]))
        {
            var bytes = stored.ToArray();
            if (at is { } place)
            {
                bytes[place < 0 ? bytes.Length + place : place] ^= 1;
            }

            await store.AddSetAsync(TestSets.Manifest("set", null, "soundhash", record), bytes);
        }

        return await AllCopies.LoadAsync(stores, _log.Log, Cancel);
    }

    private byte[] Gzip()
    {
        using var stored = new MemoryStream();
        using (var gzip = new GZipStream(stored, CompressionLevel.Fastest))
        {
            gzip.Write(_content);
        }

        return stored.ToArray();
    }
}
