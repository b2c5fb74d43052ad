using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>Objects that the bucket keeps locked.</summary>
public sealed class S3LockTests : ScriptedS3Tests
{
    private static readonly DateTimeOffset Later = TimeProvider.System.GetUtcNow().AddDays(30);

    public S3LockTests() => S3 = new ScriptedS3 { HasLocks = true };

    [Theory]
    [InlineData(S3Lock.Governance, "GOVERNANCE")]
    [InlineData(S3Lock.Compliance, "COMPLIANCE")]
    public async Task An_object_is_locked_from_the_moment_that_it_is_there(S3Lock mode, string word)
    {
        using var store = Open(Options with { Lock = mode });
        await PutAsync(store, "small", "x", new ObjectAttributes(RetainUntil: Later));
        await PutAsync(store, "large", Large, new ObjectAttributes(RetainUntil: Later));
        await PutAsync(store, "free", "x", ObjectAttributes.None);

        foreach (var key in (string[])["small", "large"])
        {
            Assert.Equal(word, Find(key).Header("x-amz-object-lock-mode"));
            var e = await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync(key, Cancel));
            Assert.Contains($"object {key} is locked in store s3 until", e.Message, StringComparison.Ordinal);
            Assert.Equal(Later, e.Until!.Value, TimeSpan.FromSeconds(1));
            Assert.NotNull(await store.StatAsync(key, Cancel));
        }

        await store.DeleteAsync("free", Cancel);
        Assert.Null(await store.StatAsync("free", Cancel));
    }

    [Fact]
    public async Task A_lock_that_is_over_and_an_object_that_is_not_there_are_no_hindrance()
    {
        using var store = Open(Options with { Lock = S3Lock.Compliance });
        await PutAsync(store, "k", "x", ObjectAttributes.None);
        ScriptedS3Objects.LockUntil(S3.Stored, "a/prefix/k", Later.AddDays(-31));

        await store.DeleteAsync("k", Cancel);
        await store.DeleteAsync("none", Cancel);

        Assert.Null(await store.StatAsync("k", Cancel));
    }

    [Fact]
    public async Task An_object_that_is_held_is_locked_without_an_end()
    {
        using var store = Open();
        await store.PutAsync("k", "x");
        ScriptedS3Objects.HoldForever(S3.Stored, "a/prefix/k");

        var e = await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel));

        Assert.Null(e.Until);
    }

    // The store would not refuse it: deleting hides the object behind a marker.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_locked_is_not_deleted_though_nobody_may_ask_whether_the_bucket_has_locks(bool isSetUp)
    {
        S3.Denied = static r => r.Argument("object-lock") is not null;
        using var writer = Open(Options with { Lock = S3Lock.Governance });
        await PutAsync(writer, "k", "x", new ObjectAttributes(RetainUntil: Later));
        using var store = Open(Options with { Lock = isSetUp ? S3Lock.Governance : S3Lock.None });

        if (isSetUp)
        {
            await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel));
        }
        else
        {
            await store.DeleteAsync("k", Cancel);
            Assert.Equal(0, Count(static r => r.Method == "HEAD"));
        }
    }

    [Fact]
    public async Task What_can_not_be_looked_at_is_not_deleted()
    {
        using var store = Open(Options with { Lock = S3Lock.Governance });
        await store.PutAsync("k", "x");
        S3.Denied = static r => r.Method == "HEAD" || (r.Method == "GET" && r.Path.EndsWith("/k", StringComparison.Ordinal));

        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("k", Cancel)), "AccessDenied");

        Assert.Equal(0, Count(static r => r.Method == "DELETE"));
    }

    [Fact]
    public async Task What_is_locked_is_not_replaced_but_by_keys_that_may_not_look()
    {
        using var store = Open(Options with { Lock = S3Lock.Governance });
        await PutAsync(store, "k", "x", new ObjectAttributes(RetainUntil: Later));
        await store.PutAsync("free", "x");

        await Assert.ThrowsAsync<ObjectLockedException>(() => store.PutAsync("k", "y", WriteMode.Replace));
        await store.PutAsync("free", "y", WriteMode.Replace);
        Assert.Equal(("x", "y"), (Stored("k"), Stored("free")));

        S3.Denied = static r => r.Method is "HEAD" or "GET";
        await store.PutAsync("k", "z", WriteMode.Replace);
        Assert.Equal("z", Stored("k"));
    }

    [Fact]
    public async Task A_busy_store_is_not_taken_for_one_without_locks()
    {
        S3.Server.Fail(new Fault { When = static r => r.Argument("object-lock") is not null, Times = 10, Answer = ScriptedS3.Error(503, "SlowDown", "x") });
        using var store = Open();

        await Assert.ThrowsAsync<TransientStorageException>(() => store.DeleteAsync("k", Cancel));

        Assert.Equal(0, Count(static r => r.Method == "DELETE"));
    }

    [Fact]
    public async Task Whether_the_bucket_has_locks_is_asked_once()
    {
        using var store = Open();
        for (var n = 0; n < 5; n++)
        {
            await store.DeleteAsync($"k{n}", Cancel);
        }

        Assert.Equal(1, Count(static r => r.Argument("object-lock") is not null));
    }

    [Fact]
    public async Task A_lock_is_made_longer_and_never_shorter()
    {
        using var store = Open(Options with { Lock = S3Lock.Governance });
        await store.PutAsync("k", "x");

        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Later), Cancel);
        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Later.AddDays(-10)), Cancel);
        Assert.Equal(Later, (await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel))).Until!.Value, TimeSpan.FromSeconds(1));

        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Later.AddDays(10)), Cancel);
        Assert.Equal(Later.AddDays(10), (await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel))).Until!.Value, TimeSpan.FromSeconds(1));
        Assert.Equal(2, Count(static r => r.Argument("retention") is not null));
        await Assert.ThrowsAsync<ObjectMissingException>(() => store.RetainAsync("none", new ObjectAttributes(RetainUntil: Later), Cancel));
    }

    [Fact]
    public async Task What_is_locked_for_compliance_stays_so()
    {
        using var strict = Open(Options with { Lock = S3Lock.Compliance });
        using var mild = Open(Options with { Lock = S3Lock.Governance });
        await PutAsync(strict, "k", "x", new ObjectAttributes(RetainUntil: Later));

        await mild.RetainAsync("k", new ObjectAttributes(RetainUntil: Later.AddDays(10)), Cancel);

        Assert.Equal("COMPLIANCE", Find("k").Header("x-amz-object-lock-mode"));
    }

    [Fact]
    public async Task A_stronger_lock_takes_the_place_of_a_weaker_one_that_is_longer_and_keeps_its_time()
    {
        using var mild = Open(Options with { Lock = S3Lock.Governance });
        using var strict = Open(Options with { Lock = S3Lock.Compliance });
        await PutAsync(mild, "k", "x", new ObjectAttributes(RetainUntil: Later));

        await strict.RetainAsync("k", new ObjectAttributes(RetainUntil: Later.AddDays(-10)), Cancel);

        Assert.Equal("COMPLIANCE", Find("k").Header("x-amz-object-lock-mode"));
        Assert.Equal(Later, (await Assert.ThrowsAsync<ObjectLockedException>(() => strict.DeleteAsync("k", Cancel))).Until!.Value, TimeSpan.FromSeconds(1));
    }

    // Stores refuse it: a set whose time is over, and that stays all the same, is copied without a lock.
    [Fact]
    public async Task A_time_that_is_over_locks_nothing_and_fails_nothing()
    {
        using var store = Open(Options with { Lock = S3Lock.Compliance });
        await PutAsync(store, "k", "x", new ObjectAttributes(RetainUntil: Later.AddDays(-31)));

        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Later.AddDays(-31)), Cancel);

        Assert.Null(Find("k").Header("x-amz-object-lock-mode"));
        Assert.Equal(0, Count(static r => r.Argument("retention") is not null));
    }

    [Fact]
    public async Task A_store_that_is_not_set_up_to_lock_locks_nothing()
    {
        using var store = Open();
        await PutAsync(store, "k", "x", new ObjectAttributes(RetainUntil: Later));

        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Later), Cancel);
        await store.DeleteAsync("k", Cancel);

        Assert.Null(await store.StatAsync("k", Cancel));
    }

    [Fact]
    public async Task A_bucket_without_locks_that_is_to_lock_says_so()
    {
        await S3.DisposeAsync();
        S3 = new ScriptedS3();
        using var store = Open(Options with { Lock = S3Lock.Governance });
        await store.PutAsync("k", "x");

        var e = await Assert.ThrowsAsync<StorageException>(() => store.RetainAsync("k", new ObjectAttributes(RetainUntil: Later), Cancel));

        AssertClear(e, "can't lock k", "missing Object Lock Configuration");
    }

    private StoredVersion Find(string key)
    {
        lock (S3.Stored.Lock)
        {
            return S3.Stored.Find($"a/prefix/{key}")!;
        }
    }

    private static async Task PutAsync(S3ObjectStore store, string key, string text, ObjectAttributes attributes)
    {
        await using var writer = await store.OpenWriteAsync(key, WriteMode.CreateNew, attributes, Cancel);
        await writer.WriteAsync(System.Text.Encoding.UTF8.GetBytes(text), Cancel);
        await writer.CompleteAsync(Cancel);
    }
}
