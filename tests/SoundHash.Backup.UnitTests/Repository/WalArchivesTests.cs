using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>WAL in several stores: what counts as archived, and what becomes of a store that was left behind.</summary>
public sealed class WalArchivesTests : IDisposable
{
    private const ulong System = 7300000000000000001;

    private readonly TempFolder _folder = new();
    private readonly FakeTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly RecordingLog _log = new();
    private readonly TroubledStore _near;
    private readonly TroubledStore _far;
    private readonly WalBehind _behind;

    public WalArchivesTests()
    {
        _near = new TroubledStore(new LocalObjectStore(Path.Combine(_folder.Path, "near")), "near");
        _far = new TroubledStore(new LocalObjectStore(Path.Combine(_folder.Path, "far")), "far");
        _behind = new WalBehind(Path.Combine(_folder.Path, "behind"), _time);
    }

    private static CancellationToken Cancel => TestRun.Cancel;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_file_is_in_every_store_with_the_same_bytes()
    {
        var name = await PutAsync(Archives(required: 2), 1);

        Assert.Equal(await StoredAsync("near", name), await StoredAsync("far", name));
        Assert.True(await Archives(required: 2).ConfirmAsync(name, Cancel));
    }

    [Fact]
    public async Task A_required_store_that_fails_is_a_failure_and_the_next_try_sends_only_what_is_missing()
    {
        _far.Break("open", "1");
        var e = await Assert.ThrowsAnyAsync<BackupException>(() => PutAsync(Archives(required: 2), 1));
        Assert.Contains("far can't open", e.Message, StringComparison.Ordinal);

        _far.Break("none", string.Empty);
        var opened = new List<string>();
        _near.Before = (step, key, _) =>
        {
            lock (opened)
            {
                opened.Add(step == "open" ? key : string.Empty);
            }

            return Task.CompletedTask;
        };
        var name = await PutAsync(Archives(required: 2), 1);

        Assert.All(opened, static o => Assert.Empty(o));
        Assert.True(await Archives(required: 2).ConfirmAsync(name, Cancel));
    }

    [Fact]
    public async Task An_optional_store_that_fails_stops_nothing_and_gets_later_what_it_lacks()
    {
        _far.Break("open", string.Empty);
        var first = await PutAsync(Archives(required: 1), 1);
        _far.Break("none", string.Empty);
        var second = await PutAsync(Archives(required: 1), 2);

        // It failed a moment ago, and is not asked again with every segment.
        Assert.Equal([first, second], _behind.Of("far"));
        await Archives(required: 1).HealAsync(Cancel);
        Assert.Equal([first, second], _behind.Of("far"));

        _time.Advance(TimeSpan.FromMinutes(6));
        // As every push does first.
        await Archives(required: 1).AdmitAsync(static _ => false, _time.GetUtcNow(), Cancel);
        await Archives(required: 1).HealAsync(Cancel);

        Assert.Empty(_behind.Of("far"));
        Assert.Equal(await StoredAsync("near", first), await StoredAsync("far", first));
        Assert.True(await Archives(required: 2).ConfirmAsync(second, Cancel));
    }

    [Fact]
    public async Task What_is_damaged_in_one_store_is_not_given_to_another()
    {
        _far.Break("open", string.Empty);
        var name = await PutAsync(Archives(required: 1), 1);
        _far.Break("none", string.Empty);
        _time.Advance(TimeSpan.FromMinutes(6));
        var path = Path.Combine(_folder.Path, "near", WalLayout.KeyOf(System, name));
        await File.WriteAllBytesAsync(path, new byte[100], Cancel);

        await Archives(required: 1).HealAsync(Cancel);

        Assert.Equal([name], _behind.Of("far"));
        Assert.False(File.Exists(Path.Combine(_folder.Path, "far", WalLayout.KeyOf(System, name))));
    }

    [Fact]
    public async Task Other_bytes_under_a_name_are_an_error_also_in_an_optional_store()
    {
        await PutAsync(new WalArchives([_far], System, 1, null, _log.Log), 1);

        await Assert.ThrowsAsync<WalConflictException>(() => PutAsync(Archives(required: 1), 1, content: 99));
    }

    private WalArchives Archives(int required) => new([_near, _far], System, required, _behind, _log.Log);

    private async Task<WalFileName> PutAsync(WalArchives archives, int number, int? content = null)
    {
        var name = WalFileName.Parse($"0000000100000000000000{number:X2}");
        await archives.AdmitAsync(static _ => false, _time.GetUtcNow(), Cancel);
        var path = _folder.Write($"source-{number}-{content}", new string((char)('a' + (content ?? number)), 5000));
        await archives.PutAsync(await WalSource.ReadAsync(name, path, Cancel), RepositoryFixture.Plain, null, Cancel);
        return name;
    }

    private Task<byte[]> StoredAsync(string store, WalFileName name) =>
        File.ReadAllBytesAsync(Path.Combine(_folder.Path, store, WalLayout.KeyOf(System, name)), Cancel);
}
