using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>What may pass is tried again before it ends a recovery, and only what every store denies is absent.</summary>
public sealed class WalFetchTests : IDisposable
{
    private readonly TempFolder _first = new();
    private readonly TempFolder _second = new();
    private readonly TempFolder _files = new();
    private readonly WalSegment _segment = TestWal.Segment(1, 5);
    private readonly FakeTime _time = new();
    private readonly WatchedStore _store;
    private int _reads;

    public WalFetchTests() => _store = new WatchedStore(new LocalObjectStore(_first.Path));

    private string Target => _files["fetched"];

    private Func<string, bool> Fails { get; set; } = static _ => false;

    [Fact(Timeout = HangLimit)]
    public async Task A_store_that_fails_twice_is_asked_again_and_the_file_is_fetched()
    {
        await ArchiveAsync(_store);
        var fetching = FetchAsync(_ => _reads <= 2, _store);

        await PassAsync(fetching, pauses: 2);

        Assert.True(await fetching);
        Assert.Equal(TestWal.Bytes(_segment), await File.ReadAllBytesAsync(Target, Cancel));
        Assert.Equal(3, _reads);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_store_that_goes_on_failing_is_an_error_after_three_times_and_never_an_absence()
    {
        await ArchiveAsync(_store);
        var fetching = FetchAsync(static _ => true, _store);

        await PassAsync(fetching, pauses: 2);

        var error = await Assert.ThrowsAsync<StorageException>(() => fetching);
        Assert.Equal("the store is away", error.Message);
        Assert.Equal(3, _reads);
        Assert.False(File.Exists(Target));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Damage_is_not_tried_again()
    {
        await ArchiveAsync(_store);
        var stored = _first[$"{TestWal.System}/00000001/{_segment.Name}"];
        var bytes = await File.ReadAllBytesAsync(stored, Cancel);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(stored, bytes, Cancel);

        var fetching = FetchAsync(static _ => false, _store);
        await Task.WhenAny(_time.UntilSomebodyWaitsAsync(), fetching);
        Assert.True(fetching.IsCompleted, "it waits to try again");

        var error = await Assert.ThrowsAsync<BackupException>(() => fetching);
        Assert.Equal(ErrorKind.Verification, error.Kind);
        Assert.Equal(1, _reads);
        Assert.False(File.Exists(Target));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_file_that_one_store_lacks_is_absent_only_when_the_other_can_be_asked()
    {
        var second = new LocalObjectStore(_second.Path);
        await new WalArchive(second, TestWal.System).AdmitAsync(false, TestSets.Noon, Cancel);
        await new WalArchive(_store, TestWal.System).AdmitAsync(false, TestSets.Noon, Cancel);
        Assert.False(await FetchAsync(static _ => false, _store, second));

        var fetching = FetchAsync(static _ => true, _store, second);
        await PassAsync(fetching, pauses: 2);
        await Assert.ThrowsAsync<StorageException>(() => fetching);

        // And what the other one has is fetched without it.
        await ArchiveAsync(second);
        Assert.True(await FetchAsync(static _ => true, _store, second));
    }

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        _files.Dispose();
    }

    private async Task ArchiveAsync(IObjectStore store)
    {
        var archive = new WalArchive(store, TestWal.System);
        await archive.AdmitAsync(false, TestSets.Noon, Cancel);
        await archive.PutAsync(_files, _segment.Name, TestWal.Bytes(_segment));
    }

    private Task<bool> FetchAsync(Func<string, bool> fails, params IObjectStore[] stores)
    {
        _reads = 0;
        Fails = fails;
        _store.BeforeRead = ReadAsync;
        var archives = stores.Select(static s => new WalArchive(s, TestWal.System)).ToList();
        var fetch = new WalFetch(archives, static _ => throw new InvalidOperationException("nothing is encrypted"), _time, Logger.None);
        return fetch.RunAsync(WalFileName.Parse(_segment.Name), Target, Cancel);
    }

    // Counts attempts: each begins with the segment itself.
    private Task ReadAsync(string key)
    {
        _reads += key.EndsWith($"/{_segment.Name}", StringComparison.Ordinal) ? 1 : 0;
        return Fails(key) ? throw new StorageException("the store is away", "wait") : Task.CompletedTask;
    }

    // Lets the clock go on where the fetch waits before it tries again; it must not have ended before.
    private async Task PassAsync(Task fetching, int pauses)
    {
        for (var pause = 1; pause <= pauses; pause++)
        {
            await Task.WhenAny(_time.UntilSomebodyWaitsAsync(), fetching);
            Assert.False(fetching.IsCompleted, $"it did not wait {pauses} times");
            _time.Advance(TimeSpan.FromMinutes(1));
        }
    }
}
