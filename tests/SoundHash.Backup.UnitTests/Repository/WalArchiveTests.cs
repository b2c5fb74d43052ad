using System.Text;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

public sealed class WalArchiveTests : IDisposable
{
    private const string Name = "000000010000000000000003";
    private const string Key = "7300000000000000001/00000001/000000010000000000000003";

    private static readonly Seal Gzip = RepositoryFixture.Plain with { Compression = new Compression(CompressionMethod.Gzip, null, 0) };
    private readonly TempFolder _folder = new();
    private readonly TempFolder _files = new();
    private readonly LocalObjectStore _store;
    private readonly WalArchive _archive;

    public WalArchiveTests()
    {
        _store = new LocalObjectStore(_folder.Path);
        _archive = new WalArchive(_store, TestWal.System);
    }

    [Fact]
    public async Task A_file_is_archived_with_its_sum_beside_it_and_read_back()
    {
        var bytes = TestRun.NewRandom().Noise(100_000);
        Assert.Equal(WalPutResult.Stored, await _archive.PutAsync(_files, Name, bytes));
        Assert.Equal([Key, $"{Key}.sha256"], _folder.Files());
        Assert.Equal(bytes, await ReadAsync(Name));
        (await Programs.RunAsync(
            "/bin/sh", ["-c", $"cd '{Path.GetDirectoryName(_folder[Key])}' && sha256sum --check --strict {Name}.sha256"])).Expect(0);
    }

    [Fact]
    public async Task The_same_content_again_is_already_there()
    {
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        Assert.Equal(WalPutResult.AlreadyThere, await _archive.PutAsync(_files, Name, [1, 2, 3]));
    }

    [Fact]
    public async Task An_archive_that_another_program_made_is_known_by_what_is_in_it()
    {
        Assert.False(await _archive.ExistsAsync(TestRun.Cancel));
        await new WalArchive(_store, TestWal.System + 1).PutAsync(_files, Name, [1, 2, 3]);
        Assert.False(await _archive.ExistsAsync(TestRun.Cancel));
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        Assert.True(await _archive.ExistsAsync(TestRun.Cancel));
    }

    /// <summary>PostgreSQL recycles a segment that a push calls archived; one before it may have been killed before the directory was synced.</summary>
    [Fact]
    public async Task What_is_there_already_counts_only_when_it_was_made_durable()
    {
        var watched = new WatchedStore(_store);
        var archive = new WalArchive(watched, TestWal.System);
        await archive.PutAsync(_files, Name, [1, 2, 3]);
        Assert.DoesNotContain(Key, watched.Confirmed);

        Assert.Equal(WalPutResult.AlreadyThere, await archive.PutAsync(_files, Name, [1, 2, 3]));
        Assert.Contains(Key, watched.Confirmed);
        Assert.Contains($"{Key}.sha256", watched.Confirmed);

        watched.Confirmed.Clear();
        Assert.True(await archive.ConfirmAsync(TestWal.Name(Name), TestRun.Cancel));
        Assert.Equal([Key, $"{Key}.sha256"], watched.Confirmed);
        File.Delete(_folder[$"{Key}.sha256"]);
        Assert.False(await archive.ConfirmAsync(TestWal.Name(Name), TestRun.Cancel));
    }

    [Fact]
    public async Task An_object_whose_sum_is_lost_may_hold_anything_and_never_passes_for_what_is_pushed()
    {
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        File.Delete(_folder[$"{Key}.sha256"]);

        for (var attempt = 0; attempt < 2; attempt++)
        {
            var e = await Assert.ThrowsAsync<BackupException>(() => _archive.PutAsync(_files, Name, [1, 2, 4]));
            Assert.Equal(ErrorKind.Verification, e.Kind);
        }

        Assert.Equal([Key], _folder.Files());
    }

    [Theory]
    [InlineData("000000010000000000000003")]
    [InlineData("00000002.history")]
    [InlineData("000000010000000000000003.partial")]
    public async Task Other_content_under_a_taken_name_is_an_error_and_nothing_is_touched(string name)
    {
        await _archive.PutAsync(_files, name, [1, 2, 3]);
        var before = Snapshot();
        var e = await Assert.ThrowsAsync<WalConflictException>(() => _archive.PutAsync(_files, name, [1, 2, 4]));
        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.Equal(before, Snapshot());
    }

    [Fact]
    public async Task A_sum_without_its_object_is_no_file_and_the_same_content_completes_it()
    {
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        File.Delete(_folder[Key]);
        Assert.False(await _archive.ContainsAsync(TestWal.Name(Name), TestRun.Cancel));
        Assert.Null(await _archive.OpenAsync(TestWal.Name(Name), NoKeys, TestRun.Cancel));
        Assert.Empty(await ListAsync());
        await Assert.ThrowsAsync<WalConflictException>(() => _archive.PutAsync(_files, Name, [1, 2, 4]));
        Assert.Equal(WalPutResult.Stored, await _archive.PutAsync(_files, Name, [1, 2, 3]));
        Assert.Equal([1, 2, 3], await ReadAsync(Name));
    }

    [Fact]
    public async Task How_a_file_is_stored_can_be_checked_without_a_key_also_after_a_killed_run_that_stored_it_in_another_way()
    {
        var name = TestWal.Name(Name);
        var bytes = TestRun.NewRandom().Noise(100_000);
        await _archive.PutAsync(_files, Name, bytes, Gzip);
        Assert.True(await _archive.IsStoredAsItWasAsync(name, null, TestRun.Cancel));

        // Killed between the sum and the object; the next run's settings are others.
        File.Delete(_folder[Key]);
        await _archive.PutAsync(_files, Name, bytes);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(_folder[Key], TestRun.Cancel));
        Assert.True(await _archive.IsStoredAsItWasAsync(name, null, TestRun.Cancel));

        bytes[50_000] ^= 1;
        await File.WriteAllBytesAsync(_folder[Key], bytes, TestRun.Cancel);
        var e = await Assert.ThrowsAsync<BackupException>(() => _archive.IsStoredAsItWasAsync(name, null, TestRun.Cancel));
        Assert.Equal(ErrorKind.Verification, e.Kind);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_two_runs_store_a_file_at_once_in_two_ways_nothing_wrong_is_said_of_how_it_is_stored(bool isOfSum)
    {
        var bytes = TestRun.NewRandom().Noise(100_000);
        await _archive.PutAsync(_files, Name, bytes, Gzip);
        var stored = await File.ReadAllBytesAsync(_folder[Key], TestRun.Cancel);
        File.Delete(_folder[Key]);
        if (!isOfSum)
        {
            using var other = new TempFolder();
            var elsewhere = new WalArchive(new LocalObjectStore(other.Path), TestWal.System);
            await elsewhere.PutAsync(_files, Name, bytes, Gzip with { Compression = new Compression(CompressionMethod.Zstd, 3, 0) });
            stored = await File.ReadAllBytesAsync(other[Key], TestRun.Cancel);
        }

        // One of the others, the one that wrote the sum or a third one, gets its object in when this one is about to.
        var result = await _archive.PutAsync(_files, Name, bytes, beforeCommit: () => File.WriteAllBytes(_folder[Key], stored));

        Assert.Equal(WalPutResult.AlreadyThere, result);
        Assert.Equal(bytes, await ReadAsync(Name));
        Assert.Equal(isOfSum, await _archive.IsStoredAsItWasAsync(TestWal.Name(Name), null, TestRun.Cancel));
        await _archive.CompleteSumAsync(TestWal.Name(Name), TestRun.Cancel);
        Assert.True(await _archive.IsStoredAsItWasAsync(TestWal.Name(Name), null, TestRun.Cancel));
    }

    [Fact]
    public async Task A_damaged_line_on_how_a_file_is_stored_keeps_nobody_from_reading_it_and_is_no_success()
    {
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        var lines = await File.ReadAllLinesAsync(_folder[$"{Key}.sha256"], TestRun.Cancel);
        foreach (var damaged in new[] { "# stored xxh128 12", "# stored", lines[1].ToUpperInvariant() })
        {
            await File.WriteAllLinesAsync(_folder[$"{Key}.sha256"], [lines[0], damaged], TestRun.Cancel);
            Assert.Equal([1, 2, 3], await ReadAsync(Name));
            Assert.Equal(WalPutResult.AlreadyThere, await _archive.PutAsync(_files, Name, [1, 2, 3]));
            await Assert.ThrowsAsync<BackupException>(() => _archive.IsStoredAsItWasAsync(TestWal.Name(Name), null, TestRun.Cancel));
        }
    }

    [Fact]
    public async Task An_object_without_its_sum_is_an_error_on_read_and_listed_as_one()
    {
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        File.Delete(_folder[$"{Key}.sha256"]);
        var e = await Assert.ThrowsAsync<BackupException>(() => ReadAsync(Name));
        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.False(Assert.Single(await ListAsync()).HasSum);
    }

    [Fact]
    public async Task A_damaged_sum_is_an_error_and_not_an_absent_one()
    {
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        foreach (var text in new[] { string.Empty, "xyz", $"{new string('a', 64)}  000000010000000000000004\n", $"{new string('A', 64)}  {Name}\n" })
        {
            await File.WriteAllTextAsync(_folder[$"{Key}.sha256"], text, TestRun.Cancel);
            await Assert.ThrowsAsync<BackupException>(() => ReadAsync(Name));
            await Assert.ThrowsAsync<BackupException>(() => _archive.PutAsync(_files, Name, [1, 2, 3]));
        }
    }

    [Fact]
    public async Task A_torn_upload_is_invisible_and_the_next_try_succeeds()
    {
        var stopped = await Assert.ThrowsAsync<InvalidOperationException>(() => _archive.PutAsync(
            _files, Name, new byte[500_000], beforeCommit: () => throw new InvalidOperationException("killed here")));
        Assert.Equal("killed here", stopped.Message);
        Assert.False(await _archive.ContainsAsync(TestWal.Name(Name), TestRun.Cancel));
        Assert.Empty(await ListAsync());
        Assert.Equal(WalPutResult.Stored, await _archive.PutAsync(_files, Name, new byte[500_000]));
    }

    [Fact]
    public async Task A_flipped_bit_in_a_stored_file_is_noticed_in_place_of_its_end()
    {
        await _archive.PutAsync(_files, Name, new byte[100_000]);
        var bytes = await File.ReadAllBytesAsync(_folder[Key], TestRun.Cancel);
        bytes[50_000] ^= 1;
        await File.WriteAllBytesAsync(_folder[Key], bytes, TestRun.Cancel);
        Assert.Equal(ErrorKind.Verification, (await Assert.ThrowsAsync<BackupException>(() => ReadAsync(Name))).Kind);
    }

    [Fact]
    public async Task A_change_of_compression_and_encryption_keeps_names_and_readers()
    {
        var launcher = new ProcessLauncher(Serilog.Core.Logger.None);
        var key = await AgeKey.MakeAsync(_files);
        var age = new AgeEncryption(launcher, [key.Recipient], [key.IdentityFile]);
        Seal[] seals =
        [
            RepositoryFixture.Plain,
            new(new Compression(CompressionMethod.Zstd, 1, 1), null, []),
            new(new Compression(CompressionMethod.Gzip, 1, 1), null, []),
            new(new Compression(CompressionMethod.Zstd, 1, 1), age, [key.Recipient]),
            new(new Compression(CompressionMethod.None, 0, 0), age, [key.Recipient]),
        ];
        for (var i = 0; i < seals.Length; i++)
        {
            var segment = TestWal.Segment(1, (ulong)i + 3);
            var bytes = TestWal.Bytes(segment);
            Assert.Equal(WalPutResult.Stored, await _archive.PutAsync(_files, segment.Name, bytes, seals[i]));
            // The same file comes again under every other setting: it is the same content.
            Assert.Equal(WalPutResult.AlreadyThere, await _archive.PutAsync(_files, segment.Name, bytes, seals[(i + 1) % seals.Length]));
            Assert.Equal(bytes, await ReadAsync(segment.Name, _ => age));
        }

        Assert.All(await ListAsync(), static e => Assert.DoesNotContain('.', e.Name.Name));
        Assert.Equal(seals.Length, (await ListAsync()).Count);
    }

    [Fact]
    public async Task Two_clusters_in_one_store_do_not_mix()
    {
        var other = new WalArchive(_store, 42);
        await _archive.PutAsync(_files, Name, [1, 2, 3]);
        await other.PutAsync(_files, Name, [4, 5, 6]);
        Assert.Equal([1, 2, 3], await ReadAsync(Name));
        Assert.Single(await ListAsync());
        Assert.Equal([42UL, TestWal.System], await WalArchive.SystemsAsync(_store, TestRun.Cancel));
        await other.DeleteAsync(TestWal.Name(Name), TestRun.Cancel);
        Assert.Equal([1, 2, 3], await ReadAsync(Name));
    }

    [Fact]
    public async Task Only_files_in_their_own_place_are_listed()
    {
        await _archive.PutAsync(_files, Name, [1]);
        await _archive.PutAsync(_files, "00000002.history", Encoding.ASCII.GetBytes("1\t0/300000\tx\n"));
        foreach (var stray in new[]
        {
            $"{TestWal.System}/00000002/{Name}", $"{TestWal.System}/streaming/{Name}.0-100", $"{TestWal.System}/00000001/00000003.history", $"{TestWal.System}/removed.json",
        })
        {
            await _store.WriteAsync(stray, new byte[] { 1 }, WriteMode.CreateNew, TestRun.Cancel);
        }

        Assert.Equal([Name, "00000002.history"], (await ListAsync()).Select(static e => e.Name.Name).Order(StringComparer.Ordinal));
        Assert.Equal(
            "1\t0/300000\tx\n", await _archive.ReadTextAsync(TestWal.Name("00000002.history"), NoKeys, TestRun.Cancel));
        Assert.Null(await _archive.ReadTextAsync(TestWal.Name("00000003.history"), NoKeys, TestRun.Cancel));
    }

    public void Dispose()
    {
        _folder.Dispose();
        _files.Dispose();
    }

    private static IEncryptionProvider NoKeys(EncryptionMethod method) => throw new InvalidOperationException("nothing is encrypted");

    private async Task<byte[]> ReadAsync(string name, Func<EncryptionMethod, IEncryptionProvider>? providers = null)
    {
        await using var plain = await _archive.OpenAsync(TestWal.Name(name), providers ?? NoKeys, TestRun.Cancel);
        using var bytes = new MemoryStream();
        await plain!.CopyToAsync(bytes, TestRun.Cancel);
        return bytes.ToArray();
    }

    private async Task<List<WalEntry>> ListAsync()
    {
        var found = new List<WalEntry>();
        await foreach (var entry in _archive.ListAsync(null, TestRun.Cancel))
        {
            found.Add(entry);
        }

        return found;
    }

    private List<(string Name, string Content, DateTime Time)> Snapshot() => _folder.Files()
        .Select(f => (f, Convert.ToHexString(File.ReadAllBytes(_folder[f])), File.GetLastWriteTimeUtc(_folder[f]))).ToList();
}
