using System.IO.Hashing;
using System.Security.Cryptography;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>The one way into and out of the repository.</summary>
public sealed class SealedObjectTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly TempFolder _keys = new();
    private readonly LocalObjectStore _store;
    private AgeKey _key = null!;

    public SealedObjectTests() => _store = new LocalObjectStore(_folder.Path);

    public async ValueTask InitializeAsync() => _key = await AgeKey.MakeAsync(_keys);

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        _keys.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(CompressionMethod.None, false, "database.dump")]
    [InlineData(CompressionMethod.Zstd, false, "database.dump.zst")]
    [InlineData(CompressionMethod.Gzip, true, "database.dump.gz.age")]
    [InlineData(CompressionMethod.Zstd, true, "database.dump.zst.age")]
    public async Task What_goes_in_comes_out_and_the_record_says_what_is_stored(CompressionMethod compression, bool encrypted, string key)
    {
        var random = NewRandom();
        var bytes = random.Prose(random.Next(2_000_000));

        var record = await WriteAsync(bytes, Seal(compression, encrypted));

        var stored = await File.ReadAllBytesAsync(_folder[$"sets/s/{key}"], Cancel);
        Assert.Equal(
            (
                key,
                (long)stored.Length,
                Hash(stored),
                (long)bytes.Length,
                QuickHash(bytes),
                compression,
                encrypted ? EncryptionMethod.Age : EncryptionMethod.None),
            (
                record.Key,
                record.StoredBytes,
                record.StoredSha256,
                record.PlainBytes,
                record.PlainXxHash128,
                record.Compression,
                record.Encryption));
        Assert.Equal(encrypted ? [_key.Recipient] : [], record.Recipients);
        Assert.Equal(bytes, await (await OpenPlainAsync(record)).ReadAllAsync());
        Assert.Equal(stored, await (await SealedObject.OpenStoredAsync(_store, "s", record, Cancel)).ReadAllAsync());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_person_opens_an_object_with_age_and_zstd_alone()
    {
        var bytes = NewRandom().Prose(300_000);
        var record = await WriteAsync(bytes, Seal(CompressionMethod.Zstd, encrypted: true));

        var script = $"age -d -i '{_key.IdentityFile}' '{_folder[$"sets/s/{record.Key}"]}' | zstd -d -c -q";
        Assert.Equal(bytes, (await Programs.RunAsync("/bin/sh", ["-c", script])).Expect(0).Output);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Nothing_is_left_of_an_object_that_was_not_completed()
    {
        foreach (var seal in (Seal[])[Seal(
            CompressionMethod.None,
            false), Seal(CompressionMethod.Gzip, false), Seal(CompressionMethod.Zstd, true)])
        {
            await using (var target = await CreateAsync("s", seal))
            {
                await target.WriteAsync(NewRandom().Noise(1_000_000), Cancel);
                Assert.Throws<InvalidOperationException>(() => target.Record);
            }

            Assert.Empty(_folder.Files());
        }
    }

    [Fact]
    public async Task An_object_never_replaces_another()
    {
        await WriteAsync([1], Seal(CompressionMethod.None, false));

        await Assert.ThrowsAsync<ObjectExistsException>(() => WriteAsync([2], Seal(CompressionMethod.None, false)));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Damage_in_the_store_never_reaches_the_end_of_the_stream(bool encrypted)
    {
        var random = NewRandom();
        var record = await WriteAsync(random.Noise(500_000), Seal(CompressionMethod.None, encrypted));
        var path = _folder[$"sets/s/{record.Key}"];
        var good = await File.ReadAllBytesAsync(path, Cancel);
        var flipped = (byte[])good.Clone();
        flipped[random.Next(flipped.Length)] ^= 1;

        foreach (var damaged in (byte[][])[flipped, good[..^1], [.. good, 0], []])
        {
            await File.WriteAllBytesAsync(path, damaged, Cancel);

            var stream = await OpenPlainAsync(record);
            await Assert.ThrowsAsync<BackupException>(() => stream.ReadAllAsync());
            await AssertDamagedAsync(await SealedObject.OpenStoredAsync(_store, "s", record, Cancel), record.Key);
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_good_object_of_another_set_is_not_taken_for_this_one()
    {
        var seal = Seal(CompressionMethod.Zstd, encrypted: true);
        var record = await WriteAsync(NewRandom().Prose(500_000), seal);
        await WriteAsync(NewRandom().Prose(500_000), seal, "other");
        File.Copy(_folder[$"sets/other/{record.Key}"], _folder[$"sets/s/{record.Key}"], overwrite: true);

        await AssertDamagedAsync(await OpenPlainAsync(record), record.Key);
    }

    [Fact]
    public async Task Plain_bytes_that_differ_from_the_record_are_damage_even_when_the_stored_ones_are_right()
    {
        var record = await WriteAsync([1, 2, 3], Seal(CompressionMethod.Zstd, false));

        await AssertDamagedAsync(await OpenPlainAsync(record with { PlainXxHash128 = QuickHash([4, 5, 6]) }), record.Key);
        foreach (var check in Enum.GetValues<PlainCheck>())
        {
            await AssertDamagedAsync(await OpenPlainAsync(record with { PlainBytes = 2 }, check), record.Key);
        }
    }

    [Fact]
    public async Task A_missing_object_is_told_as_missing()
    {
        var record = TestSets.Record("database.dump", [1]);

        await Assert.ThrowsAsync<ObjectMissingException>(() => OpenPlainAsync(record));
    }

    private static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static string QuickHash(byte[] bytes) => Convert.ToHexStringLower(XxHash128.Hash(bytes));

    private static async Task AssertDamagedAsync(Stream stream, string key)
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => stream.ReadAllAsync());
        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.StartsWith($"object {key} of set s", e.Message, StringComparison.Ordinal);
    }

    private Seal Seal(CompressionMethod compression, bool encrypted) => new(
        new Compression(compression, 3, 1),
        encrypted ? new AgeEncryption(Children.Launcher, [_key.Recipient], []) : null,
        encrypted ? [_key.Recipient] : []);

    private Task<SealedObject> CreateAsync(string set, Seal seal) => SealedObject.CreateAsync(
        key => _store.OpenWriteAsync(RepositoryLayout.InSet(set, key), WriteMode.CreateNew, Cancel), "database.dump", ObjectRole.Dump, seal);

    private async Task<ObjectRecord> WriteAsync(byte[] bytes, Seal seal, string set = "s")
    {
        await using var target = await CreateAsync(set, seal);
        await target.WriteAllAsync(bytes, () => 50_000);
        return target.Record;
    }

    private Task<Stream> OpenPlainAsync(ObjectRecord record, PlainCheck check = PlainCheck.Whole) =>
        SealedObject.OpenPlainAsync(_store, "s", record, check, _ => new AgeEncryption(Children.Launcher, [], [_key.IdentityFile]), Cancel);
}
