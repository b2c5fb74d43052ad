using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>Objects that are locked, and deletions that are refused.</summary>
public sealed class GcsLockTests : ScriptedGcsTests
{
    private static readonly DateTimeOffset Until = new(2150, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Theory]
    [InlineData(WriteMode.CreateNew)]
    [InlineData(WriteMode.Replace)]
    public async Task A_locked_object_is_neither_deleted_nor_replaced(WriteMode mode)
    {
        using var store = Open(Options with { Lock = GcsLock.Locked });
        await PutLockedAsync(store, mode);

        var deleted = await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel));
        Assert.Equal(Until, deleted.Until);
        Assert.Contains("locked in store gcs until 2150-01-02 03:04:05 UTC", deleted.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ObjectLockedException>(() => store.PutAsync("k", "other", WriteMode.Replace));
        await Assert.ThrowsAsync<ObjectLockedException>(() => store.PutAsync("k", Large, WriteMode.Replace));
        Assert.Equal("locked", Stored("k"));
    }

    // The object that is in the way of the second attempt is what the first one has made.
    [Theory]
    [InlineData("small")]
    [InlineData("large")]
    public async Task A_lost_answer_is_no_error_where_the_object_is_locked_at_once(string size)
    {
        var text = size == "small" ? "small" : Large;
        using var store = Open(Options with { Lock = GcsLock.Locked });
        Gcs.Put("a/prefix/k", "old");
        Gcs.Server.Fail(new Fault { When = static r => IsWhole(r) || IsLast(r), CutsAnswer = true });
        Gcs.Server.Fail(new Fault { When = IsQuestion, Answer = ScriptedAnswer.Of(404, "Not Found", "text/plain") });
        await using var writer = await store.OpenWriteAsync("k", WriteMode.Replace, new ObjectAttributes(RetainUntil: Until), Cancel);
        await writer.WriteAsync(System.Text.Encoding.UTF8.GetBytes(text), Cancel);

        await writer.CompleteAsync(Cancel);

        Assert.Equal(text, Stored("k"));
    }

    [Fact]
    public async Task An_object_on_hold_is_locked_until_nobody_knows_when()
    {
        Gcs.Put("a/prefix/k", "held", static o => o.IsHeld = true);
        using var store = Open();

        Assert.Null((await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel))).Until);
        Gcs.Denied["storage.objects.get"] = true;
        Assert.Null((await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel))).Until);
    }

    [Fact]
    public async Task A_refused_deletion_of_a_locked_object_is_its_lock_whatever_the_store_says()
    {
        Gcs.Put("a/prefix/k", "x", static o => (o.RetentionMode, o.RetainUntil) = ("Unlocked", Until));
        Gcs.Denied["storage.objects.delete"] = true;
        using var store = Open();

        Assert.Equal(Until, (await Assert.ThrowsAsync<ObjectLockedException>(() => store.DeleteAsync("k", Cancel))).Until);
    }

    [Fact]
    public async Task A_deletion_that_is_denied_is_an_error_that_names_the_right()
    {
        Gcs.Put("a/prefix/k", "x");
        Gcs.Denied["storage.objects.delete"] = true;
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("k", Cancel));

        AssertClear(e, "can't delete k", "backup@project.iam.gserviceaccount.com does not have storage.objects.delete access", "HTTP 403", "need storage.objects.delete on the bucket backups");
        Assert.Equal("x", Stored("k"));
    }

    [Fact]
    public async Task A_deletion_whose_answer_was_lost_is_repeated()
    {
        Gcs.Put("a/prefix/k", "x");
        Gcs.Server.Fail(new Fault { When = static r => r.Method == "DELETE", CutsAnswer = true });
        using var store = Open();

        await store.DeleteAsync("k", Cancel);

        Assert.Null(Stored("k"));
    }

    [Fact]
    public async Task An_object_is_locked_for_longer_and_never_for_shorter()
    {
        using var store = Open(Options with { Lock = GcsLock.Unlocked });
        await store.PutAsync("k", "x");

        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until), Cancel);
        Assert.Equal(("Unlocked", Until), Lock());
        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until.AddDays(-9)), Cancel);
        Assert.Equal(("Unlocked", Until), Lock());
        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until.AddDays(9)), Cancel);
        Assert.Equal(("Unlocked", Until.AddDays(9)), Lock());

        using var strict = Open(Options with { Lock = GcsLock.Locked });
        await strict.RetainAsync("k", new ObjectAttributes(RetainUntil: Until), Cancel);
        Assert.Equal(("Locked", Until.AddDays(9)), Lock());
        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until.AddDays(10)), Cancel);
        Assert.Equal(("Locked", Until.AddDays(10)), Lock());
        Assert.Equal(4, Count(static r => r.Method == "PATCH"));
    }

    // Whoever locks it at the same moment may have meant it for longer.
    [Fact]
    public async Task A_lock_that_changes_meanwhile_is_looked_at_again()
    {
        using var store = Open(Options with { Lock = GcsLock.Unlocked });
        Gcs.Put("a/prefix/k", "x");
        Gcs.Server.Fail(new Fault
        {
            When = IsStat,
            Change = a =>
            {
                var found = Gcs.Find("a/prefix/k")!;
                (found.RetentionMode, found.RetainUntil, found.Metageneration) = ("Unlocked", Until.AddDays(5), 2);
                return a;
            },
        });

        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until), Cancel);

        Assert.Equal(("Unlocked", Until.AddDays(5)), Lock());
        Assert.Equal(1, Count(static r => r.Method == "PATCH"));
    }

    [Fact]
    public async Task A_store_that_does_not_lock_asks_for_nothing()
    {
        Gcs.Put("a/prefix/k", "x");
        using var store = Open();
        await store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until), Cancel);
        await PutLockedAsync(store, WriteMode.Replace);

        Assert.Null(Gcs.Find("a/prefix/k")!.RetentionMode);
        Assert.Single(Gcs.Server.Requests);
    }

    [Fact]
    public async Task What_can_not_be_locked_is_an_error()
    {
        Gcs.Put("a/prefix/k", "x");
        Gcs.HasRetention = false;
        using var store = Open(Options with { Lock = GcsLock.Locked });

        await Assert.ThrowsAsync<ObjectMissingException>(() => store.RetainAsync("nothing", new ObjectAttributes(RetainUntil: Until), Cancel));
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until), Cancel)), "can't lock k", "--enable-per-object-retention");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => PutLockedAsync(store, WriteMode.Replace)), "can't write k", "--enable-per-object-retention");
        Gcs.HasRetention = true;
        Gcs.Denied["storage.objects.setRetention"] = true;
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.RetainAsync("k", new ObjectAttributes(RetainUntil: Until), Cancel)), "can't lock k", "storage.objects.setRetention on the bucket");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => PutLockedAsync(store, WriteMode.Replace)), "can't write k", "storage.objects.create and storage.objects.setRetention");
    }

    private (string?, DateTimeOffset?) Lock() => (Gcs.Find("a/prefix/k")!.RetentionMode, Gcs.Find("a/prefix/k")!.RetainUntil);

    private static async Task PutLockedAsync(GcsObjectStore store, WriteMode mode)
    {
        await using var writer = await store.OpenWriteAsync("k", mode, new ObjectAttributes(RetainUntil: Until), Cancel);
        await writer.WriteAsync("locked"u8.ToArray(), Cancel);
        await writer.CompleteAsync(Cancel);
    }
}
