using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.FanOut;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Storage;

/// <summary>One pass to several stores: one that fails or hangs is left behind, and the others have all of it.</summary>
public sealed class StoreGroupTests : IDisposable
{
    private static readonly TimeSpan Stall = TimeSpan.FromMinutes(5);

    private readonly TempFolder _folder = new();
    private readonly FakeTime _time = new();
    private readonly TroubledStore _good;
    private readonly TroubledStore _bad;
    private readonly StoreGroup _group;

    public StoreGroupTests()
    {
        _good = new TroubledStore(new LocalObjectStore(Path.Combine(_folder.Path, "good")), "good");
        _bad = new TroubledStore(new LocalObjectStore(Path.Combine(_folder.Path, "bad")), "bad");
        _group = new StoreGroup([_good, _bad], _time, Logger.None, Stall);
    }

    private static CancellationToken Cancel => TestRun.Cancel;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task Every_store_gets_every_byte_whatever_the_sizes_of_the_writes()
    {
        var random = TestRun.NewRandom();
        var bytes = random.Noise(9_000_000);

        await WriteAsync(bytes, () => random.Next(1, 3_000_000));

        Assert.Equal(bytes, await StoredAsync("good"));
        Assert.Equal(bytes, await StoredAsync("bad"));
        Assert.Equal(2, _group.Up.Count);
    }

    [Theory(Timeout = TestRun.HangLimit)]
    [InlineData("open")]
    [InlineData("write")]
    [InlineData("complete")]
    public async Task A_store_that_fails_is_left_out_and_the_others_go_on(string step)
    {
        _bad.Break(step, "k");
        var bytes = TestRun.NewRandom().Noise(9_000_000);

        await WriteAsync(bytes);

        Assert.Equal(bytes, await StoredAsync("good"));
        Assert.False(File.Exists(Path.Combine(_folder.Path, "bad", "k")));
        var (good, bad) = (_group.Destinations[0], _group.Destinations[1]);
        Assert.True(good.IsUp);
        Assert.Equal((false, false, $"bad can't {step} k"), (bad.IsUp, bad.Stalled, bad.Failure?.Message));
    }

    [Theory(Timeout = TestRun.HangLimit)]
    [InlineData("open")]
    [InlineData("write")]
    [InlineData("complete")]
    public async Task A_store_that_hangs_is_left_behind_after_its_time_and_the_others_go_on(string step)
    {
        var end = _bad.Hang(step);
        var done = 0;
        _good.Before = (s, _, _) => Task.FromResult(s == step ? Interlocked.Increment(ref done) : 0);
        var bytes = TestRun.NewRandom().Noise(9_000_000);

        var writing = WriteAsync(bytes);
        // The good one is watched too while it is at that step; when it is done, only the other one is. One piece hangs, four wait.
        while (Volatile.Read(ref done) < (step == "write" ? 5 : 1) || _time.Waiting != 1 || (step != "write" && !IsDone(step)))
        {
            await Task.Yield();
        }

        _time.Advance(Stall + TimeSpan.FromSeconds(1));
        await writing;

        Assert.Equal(bytes, await StoredAsync("good"));
        Assert.True(_group.Destinations[1].Stalled);
        Assert.Contains("moved nothing for 300 s", _group.Destinations[1].Failure!.Message, StringComparison.Ordinal);
        end.SetResult();
    }

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task Without_any_store_left_the_write_fails_and_says_why_of_each()
    {
        _good.Break("write", "k");
        _bad.Break("write", "k");

        var e = await Assert.ThrowsAsync<StorageException>(() => WriteAsync(new byte[9_000_000]));

        Assert.Contains("good can't write k", e.Message, StringComparison.Ordinal);
        Assert.Contains("bad can't write k", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task A_store_that_was_left_out_is_not_touched_again()
    {
        _bad.Break("complete", "k");
        await WriteAsync(new byte[10]);
        _bad.Before = static (step, key, _) => step is "open" or "stat" ? throw new InvalidOperationException($"{step} {key}") : Task.CompletedTask;

        await WriteAsync(new byte[10], key: "second");
        await _group.EachAsync(async (destination, token) => await destination.Store.StatAsync("k", token), Cancel);

        Assert.True(File.Exists(Path.Combine(_folder.Path, "good", "second")));
    }

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task What_is_cancelled_is_no_fault_of_a_store()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        _good.Before = (_, _, token) => Task.Delay(Timeout.Infinite, token);
        _bad.Before = _good.Before;

        var opening = _group.OpenWriteAsync("k", WriteMode.CreateNew, ObjectAttributes.None, stop.Token);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        Assert.Equal(2, _group.Up.Count);
    }

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task What_a_person_must_mend_is_thrown_and_no_reason_to_leave_a_store_out()
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => _group.EachAsync(
            static (destination, _) => destination.Store.Name == "bad" ? throw new BackupException(ErrorKind.Configuration, "wrong cluster") : Task.CompletedTask,
            Cancel));

        Assert.Equal("wrong cluster", e.Message);
        Assert.Equal(2, _group.Up.Count);
    }

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task Slow_stores_that_move_are_waited_for_however_long()
    {
        using var arrived = new SemaphoreSlim(0);
        using var gate = new SemaphoreSlim(0);
        _bad.Before = async (step, _, token) =>
        {
            if (step == "write")
            {
                arrived.Release();
                await gate.WaitAsync(token);
            }
        };
        _good.Before = _bad.Before;
        var bytes = TestRun.NewRandom().Noise(20_000_000);

        var writing = WriteAsync(bytes);
        for (var piece = 0; piece < 10; piece++)
        {
            await arrived.WaitAsync(Cancel);
            await arrived.WaitAsync(Cancel);
            _time.Advance(Stall - TimeSpan.FromSeconds(1));
            gate.Release(2);
        }

        gate.Release(1000);
        await writing;
        Assert.Equal(2, _group.Up.Count);
        Assert.Equal(bytes, await StoredAsync("bad"));
    }

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task Nothing_is_left_in_any_store_of_what_was_not_completed()
    {
        await using (var writer = await _group.OpenWriteAsync("k", WriteMode.CreateNew, ObjectAttributes.None, Cancel))
        {
            await writer.WriteAsync(new byte[3_000_000], Cancel);
        }

        Assert.Empty(_folder.Files());
    }

    [Fact(Timeout = TestRun.HangLimit)]
    public async Task Of_a_single_store_the_error_is_its_own()
    {
        var alone = new StoreGroup([_good], _time, Logger.None);
        await _good.PutAsync("k");

        await Assert.ThrowsAsync<ObjectExistsException>(async () =>
        {
            await using var writer = await alone.OpenWriteAsync("k", WriteMode.CreateNew, ObjectAttributes.None, Cancel);
            await writer.CompleteAsync(Cancel);
        });
    }

    private async Task WriteAsync(byte[] bytes, Func<int>? pieces = null, string key = "k")
    {
        await using var writer = await _group.OpenWriteAsync(key, WriteMode.CreateNew, ObjectAttributes.None, Cancel);
        await writer.WriteAllAsync(bytes, pieces ?? (() => 256 * 1024));
    }

    private bool IsDone(string step) => File.Exists(Path.Combine(_folder.Path, "good", "k")) || (step == "open" && _folder.Files().Count > 0);

    private Task<byte[]> StoredAsync(string store) => File.ReadAllBytesAsync(Path.Combine(_folder.Path, store, "k"), Cancel);
}

internal static class SmallObjects
{
    public static async Task PutAsync(this IObjectStore store, string key)
    {
        await using var writer = await store.OpenWriteAsync(key, WriteMode.CreateNew, TestRun.Cancel);
        await writer.CompleteAsync(TestRun.Cancel);
    }
}
