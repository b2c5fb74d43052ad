using System.Security.Cryptography;
using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.StorageContract;

/// <summary>
/// What every store must pass (<see cref="IObjectStore"/>). The tests of a store derive from this and open it; each test gets a
/// store of its own, empty.
/// </summary>
public abstract class ObjectStoreContract
{
    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>False for a store that drops by itself, and later, what writers have left that never committed.</summary>
    protected virtual bool RemovesAbandonedWrites => true;

    /// <summary>The store of this test; opened again it is the same one, as another process would see it.</summary>
    protected abstract IObjectStore Open();

    /// <summary>Bytes after which an object that is being written has left something in the store, visible or not.</summary>
    protected virtual int BytesThatLeaveTraces => 4;

    [Fact]
    public async Task What_was_completed_is_read_back_by_everybody()
    {
        await Open().PutAsync("sets/a/dump", "the dump");

        Assert.Equal("the dump", await Open().GetAsync("sets/a/dump"));
        var info = await Open().StatAsync("sets/a/dump", Cancel);
        Assert.Equal(("sets/a/dump", 8), (info!.Key, info.Size));
        Assert.True(info.Modified.Year > 2000);
        Assert.Equal(["sets/a/dump"], await Open().KeysAsync(string.Empty));
    }

    [Fact]
    public async Task What_is_confirmed_is_what_is_there_and_an_object_that_is_not_is_none()
    {
        var store = Open();
        Assert.Null(await store.ConfirmAsync("sets/a/dump", Cancel));
        await store.PutAsync("sets/a/dump", "the dump");
        await using var writer = await store.OpenWriteAsync("sets/a/half", WriteMode.CreateNew, Cancel);

        Assert.Equal(await store.StatAsync("sets/a/dump", Cancel), await Open().ConfirmAsync("sets/a/dump", Cancel));
        Assert.Null(await store.ConfirmAsync("sets/a/half", Cancel));
        await store.DeleteAsync("sets/a/dump", Cancel);
        Assert.Null(await store.ConfirmAsync("sets/a/dump", Cancel));
    }

    [Fact]
    public async Task Nothing_is_seen_of_an_object_before_it_is_completed()
    {
        var store = Open();
        await using var writer = await store.OpenWriteAsync("sets/a/dump", WriteMode.CreateNew, Cancel);
        await writer.WriteAsync(new byte[300_000], Cancel);

        await AssertMissingAsync(store, "sets/a/dump");

        await writer.CompleteAsync(Cancel);
        Assert.Equal(300_000, (await store.StatAsync("sets/a/dump", Cancel))!.Size);
    }

    [Theory]
    [InlineData(WriteMode.CreateNew)]
    [InlineData(WriteMode.Replace)]
    public async Task Nothing_is_left_of_an_object_that_was_not_completed(WriteMode mode)
    {
        var store = Open();
        await using (var writer = await store.OpenWriteAsync("sets/a/dump", mode, Cancel))
        {
            await writer.WriteAsync("half"u8.ToArray(), Cancel);
        }

        await AssertMissingAsync(store, "sets/a/dump");
    }

    [Fact]
    public async Task Nothing_is_left_of_an_object_whose_completion_was_cancelled()
    {
        var store = Open();
        await using (var writer = await store.OpenWriteAsync("sets/a/dump", WriteMode.CreateNew, Cancel))
        {
            await writer.WriteAsync("half"u8.ToArray(), Cancel);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writer.CompleteAsync(new CancellationToken(canceled: true)));
        }

        await AssertMissingAsync(store, "sets/a/dump");
    }

    [Fact]
    public async Task An_object_that_was_to_be_new_and_exists_is_an_error_and_stays_as_it_was()
    {
        var store = Open();
        await store.PutAsync("sets/a/dump", "first");

        var e = await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("sets/a/dump", "second, longer"));

        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.Contains("sets/a/dump", e.Message, StringComparison.Ordinal);
        Assert.Equal("first", await store.GetAsync("sets/a/dump"));
        Assert.Equal(["sets/a/dump"], await store.KeysAsync(string.Empty));
    }

    [Fact]
    public async Task An_object_that_somebody_else_made_meanwhile_is_not_replaced()
    {
        var store = Open();
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);
        await writer.WriteAsync("ours"u8.ToArray(), Cancel);
        await Open().PutAsync("k", "theirs");

        await Assert.ThrowsAsync<ObjectExistsException>(() => writer.CompleteAsync(Cancel));

        Assert.Equal("theirs", await store.GetAsync("k"));
    }

    [Fact]
    public async Task Of_many_that_make_an_object_at_once_exactly_one_wins()
    {
        var store = Open();
        for (var round = 0; round < 20; round++)
        {
            var key = $"sets/round{round}/intent.json";
            var writers = Enumerable.Range(0, 8).Select(n => Task.Run(() => WinsAsync(store, key, $"writer {n}"), Cancel));
            var winners = await Task.WhenAll(writers);

            var winner = Assert.Single(winners, static w => w is not null);
            Assert.Equal(winner, await store.GetAsync(key));
        }
    }

    [Fact]
    public async Task What_is_replaced_is_seen_whole_until_then_and_the_new_one_from_then_on()
    {
        var store = Open();
        await store.PutAsync("k", "a long first version");
        await using var writer = await store.OpenWriteAsync("k", WriteMode.Replace, Cancel);
        await writer.WriteAsync("second"u8.ToArray(), Cancel);
        Assert.Equal("a long first version", await store.GetAsync("k"));

        await writer.CompleteAsync(Cancel);

        Assert.Equal("second", await store.GetAsync("k"));
        Assert.Equal(6, (await store.StatAsync("k", Cancel))!.Size);
    }

    [Fact]
    public async Task A_replacement_that_was_not_completed_leaves_the_old_object()
    {
        var store = Open();
        await store.PutAsync("k", "first");
        await using (var writer = await store.OpenWriteAsync("k", WriteMode.Replace, Cancel))
        {
            await writer.WriteAsync("sec"u8.ToArray(), Cancel);
        }

        Assert.Equal("first", await store.GetAsync("k"));
    }

    [Fact]
    public async Task Who_reads_while_an_object_is_replaced_again_and_again_sees_one_version_whole()
    {
        var store = Open();
        await store.PutAsync("k", new string('0', 50_000));
        var writing = Task.Run(
            async () =>
            {
                for (var n = 1; n < 50; n++)
                {
                    await store.PutAsync("k", new string((char)('0' + (n % 10)), 50_000), WriteMode.Replace);
                }
            },
            Cancel);
        do
        {
            var text = await store.GetAsync("k");
            Assert.Equal(new string(text[0], 50_000), text);
        }
        while (!writing.IsCompleted);

        await writing;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(20_000_000)]
    public async Task An_object_of_any_size_comes_back_as_it_was(int size)
    {
        var store = Open();
        var bytes = new byte[size];
        new Random(size).NextBytes(bytes);
        await using (var writer = await store.OpenWriteAsync("sets/a/big", WriteMode.CreateNew, Cancel))
        {
            for (int at = 0, piece = 1; at < size; at += piece, piece = Math.Min((piece * 3) + 1, 3_000_000))
            {
                await writer.WriteAsync(bytes.AsMemory(at, Math.Min(piece, size - at)), Cancel);
            }

            await writer.CompleteAsync(Cancel);
        }

        Assert.Equal(size, (await store.StatAsync("sets/a/big", Cancel))!.Size);
        await using var stored = await store.OpenReadAsync("sets/a/big", 0, Cancel);
        Assert.Equal(SHA256.HashData(bytes), await SHA256.HashDataAsync(stored, Cancel));
    }

    [Theory]
    [InlineData(0, "0123456789")]
    [InlineData(4, "456789")]
    [InlineData(9, "9")]
    [InlineData(10, "")]
    public async Task An_object_is_read_from_an_offset_to_its_end(long offset, string expected)
    {
        var store = Open();
        await store.PutAsync("k", "0123456789");

        Assert.Equal(expected, await store.GetAsync("k", offset));
    }

    [Fact]
    public async Task A_list_goes_by_the_beginning_of_keys_and_not_by_folders()
    {
        var store = Open();
        string[] keys = ["ab", "sets/a1/dump", "sets/a1/manifest.json", "sets/a10/dump", "sets/b/dump", "sets.json"];
        foreach (var key in keys)
        {
            await store.PutAsync(key, key);
        }

        string[] prefixes = ["", "a", "ab", "abc", "s", "sets", "sets/", "sets/a1", "sets/a1/", "sets/a1/d", "sets/a1/dump", "sets/c/", "no/such/"];
        foreach (var prefix in prefixes)
        {
            var expected = keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal);
            Assert.Equal(expected, await store.KeysAsync(prefix));
        }

        await foreach (var info in store.ListAsync(string.Empty, Cancel))
        {
            Assert.Equal(await store.StatAsync(info.Key, Cancel), info);
        }
    }

    [Fact]
    public async Task A_list_has_every_one_of_many_objects_once()
    {
        var store = Open();
        var keys = Enumerable.Range(0, 1000).Select(static n => $"sets/{n % 7}/object-{n}").ToList();
        await Parallel.ForEachAsync(keys, Cancel, async (key, _) => await store.PutAsync(key, string.Empty));

        Assert.Equal(keys.Order(StringComparer.Ordinal), await store.KeysAsync("sets/"));
    }

    [Fact]
    public async Task An_empty_store_lists_nothing_and_misses_everything()
    {
        var store = Open();

        Assert.Empty(await store.KeysAsync(string.Empty));
        Assert.Empty(await store.KeysAsync("sets/"));
        await AssertMissingAsync(store, "sets/a/dump");
        await store.RemoveAbandonedWritesAsync("sets/", DateTimeOffset.MaxValue, Cancel);
        Assert.True(await store.FreeBytesAsync(Cancel) is null or > 0);
        Assert.NotEmpty(store.Name);
    }

    [Fact]
    public async Task A_deleted_object_is_gone_for_everybody_and_no_other_is()
    {
        var store = Open();
        await store.PutAsync("sets/a/dump", "1");
        await store.PutAsync("sets/a/dump2", "2");

        await store.DeleteAsync("sets/a/dump", Cancel);

        await AssertMissingAsync(Open(), "sets/a/dump");
        Assert.Equal("2", await store.GetAsync("sets/a/dump2"));
        await store.PutAsync("sets/a/dump", "3");
        Assert.Equal("3", await store.GetAsync("sets/a/dump"));
    }

    [Fact]
    public async Task Deleting_an_object_that_is_not_there_is_no_error()
    {
        var store = Open();
        await store.DeleteAsync("sets/a/dump", Cancel);
        await store.PutAsync("sets/a/dump", "1");

        await store.DeleteAsync("sets/a/other", Cancel);
        await store.DeleteAsync("sets/b/dump", Cancel);

        Assert.Equal("1", await store.GetAsync("sets/a/dump"));
    }

    [Fact]
    public async Task Those_who_write_and_delete_beside_each_other_do_not_disturb_each_other()
    {
        var store = Open();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(n => Task.Run(
            async () =>
            {
                for (var round = 0; round < 50; round++)
                {
                    await store.PutAsync($"sets/a/object{n}", $"{n} {round}");
                    Assert.Equal($"{n} {round}", await store.GetAsync($"sets/a/object{n}"));
                    await store.DeleteAsync($"sets/a/object{n}", Cancel);
                }
            },
            Cancel)));

        Assert.Empty(await store.KeysAsync(string.Empty));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("a//b")]
    [InlineData("../a")]
    [InlineData("a/../../b")]
    [InlineData("a/./b")]
    [InlineData("a b")]
    [InlineData("a\\b")]
    [InlineData("größe")]
    [InlineData("a\n")]
    [InlineData("a\0b")]
    public async Task A_key_that_not_every_store_takes_is_refused_before_it_is_used(string key)
    {
        var store = Open();

        await Assert.ThrowsAsync<StorageException>(async () => await store.OpenWriteAsync(key, WriteMode.CreateNew, Cancel));
        await Assert.ThrowsAsync<StorageException>(async () => await store.OpenReadAsync(key, 0, Cancel));
        await Assert.ThrowsAsync<StorageException>(async () => await store.StatAsync(key, Cancel));
        await Assert.ThrowsAsync<StorageException>(async () => await store.ConfirmAsync(key, Cancel));
        await Assert.ThrowsAsync<StorageException>(async () => await store.DeleteAsync(key, Cancel));

        Assert.Empty(await store.KeysAsync(string.Empty));
    }

    [Fact]
    public async Task What_an_abandoned_write_left_is_removed_when_it_is_old_enough_and_below_the_prefix()
    {
        var store = Open();
        var now = TimeProvider.System.GetUtcNow();
        await store.PutAsync("sets/a/whole", "whole");
        await using var young = await HalfAsync("sets/a/young");
        await using var elsewhere = await HalfAsync("other/young");

        await store.RemoveAbandonedWritesAsync("sets/", now.AddHours(-2), Cancel);
        await young.CompleteAsync(Cancel);
        Assert.Equal(BytesThatLeaveTraces, (await store.StatAsync("sets/a/young", Cancel))!.Size);

        await using var old = await HalfAsync("sets/a/old");
        await store.RemoveAbandonedWritesAsync("sets/", now.AddHours(2), Cancel);
        if (RemovesAbandonedWrites)
        {
            await Assert.ThrowsAnyAsync<StorageException>(() => old.CompleteAsync(Cancel));
        }

        await elsewhere.CompleteAsync(Cancel);
        Assert.Equal(["other/young", "sets/a/whole", "sets/a/young"], await store.KeysAsync(string.Empty));

        async Task<ObjectWriter> HalfAsync(string key)
        {
            var writer = await store.OpenWriteAsync(key, WriteMode.CreateNew, Cancel);
            await writer.WriteAsync(new byte[BytesThatLeaveTraces], Cancel);
            return writer;
        }
    }

    private static async Task<string?> WinsAsync(IObjectStore store, string key, string text)
    {
        try
        {
            await store.PutAsync(key, text);
            return text;
        }
        catch (ObjectExistsException)
        {
            return null;
        }
    }

    private static async Task AssertMissingAsync(IObjectStore store, string key)
    {
        Assert.Null(await store.StatAsync(key, Cancel));
        Assert.DoesNotContain(key, await store.KeysAsync(string.Empty));
        var e = await Assert.ThrowsAsync<ObjectMissingException>(async () => await store.OpenReadAsync(key, 0, Cancel));
        Assert.Contains(key, e.Message, StringComparison.Ordinal);
    }
}

/// <summary>Whole objects as text.</summary>
internal static class StoreText
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task PutAsync(this IObjectStore store, string key, string text, WriteMode mode = WriteMode.CreateNew)
    {
        await using var writer = await store.OpenWriteAsync(key, mode, Cancel);
        await writer.WriteAsync(Encoding.UTF8.GetBytes(text), Cancel);
        await writer.CompleteAsync(Cancel);
    }

    public static async Task<string> GetAsync(this IObjectStore store, string key, long offset = 0)
    {
        await using var stored = await store.OpenReadAsync(key, offset, Cancel);
        using var buffer = new MemoryStream();
        await stored.CopyToAsync(buffer, Cancel);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    /// <summary>The keys of a list in order; one that is listed twice stands there twice.</summary>
    public static async Task<List<string>> KeysAsync(this IObjectStore store, string prefix)
    {
        var keys = new List<string>();
        await foreach (var info in store.ListAsync(prefix, Cancel))
        {
            keys.Add(info.Key);
        }

        keys.Sort(StringComparer.Ordinal);
        return keys;
    }
}
