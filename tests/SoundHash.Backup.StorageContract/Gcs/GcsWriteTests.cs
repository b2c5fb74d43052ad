using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>What is sent to make an object, and what can go wrong with it and passes or does not.</summary>
public sealed class GcsWriteTests : ScriptedGcsTests
{
    public static TheoryData<int, string> Storms => new()
    {
        { 500, "backendError" }, { 502, "" }, { 503, "backendError" }, { 504, "" }, { 429, "rateLimitExceeded" }, { 408, "uploadBrokenConnection" },
        { 403, "rateLimitExceeded" }, { 403, "userRateLimitExceeded" },
    };

    [Theory]
    [MemberData(nameof(Storms))]
    public async Task What_a_store_answers_when_it_has_too_much_to_do_is_tried_again(int status, string reason)
    {
        var busy = reason.Length == 0 ? ScriptedAnswer.Of(status, "busy") : ScriptedGcs.Error(status, reason, "busy");
        foreach (var when in (Func<ScriptedRequest, bool>[])[IsWhole, IsBegin, IsChunk, IsLast, IsQuestion, IsRead, IsStat, IsList])
        {
            Gcs.Server.Fail(new Fault { When = when, Times = 3, Answer = busy });
        }

        using var store = Open();
        await store.PutAsync("small", "small");
        await store.PutAsync("large", Large);

        Assert.Equal(("small", Large), (Stored("small"), Stored("large")));
        Assert.Equal(Large, await store.GetAsync("large"));
        Assert.Equal(5, (await store.StatAsync("small", Cancel))!.Size);
        Assert.Equal(["large", "small"], await store.KeysAsync(string.Empty));
        Assert.Equal(24, Gcs.Server.Failures);
    }

    [Fact]
    public async Task A_storm_that_does_not_end_is_an_error_after_ten_attempts_once_the_store_was_heard_of()
    {
        Gcs.Server.Fail(new Fault { When = IsWhole, Times = 99, Answer = ScriptedGcs.Error(503, "backendError", "Backend Error.") });
        using var store = Open();

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "can't write k", "Backend Error (backendError, HTTP 503, request request-id-of-the-store)", "fewer requests");
        Assert.Equal(10, Count(IsWhole));
    }

    [Fact]
    public async Task The_wait_that_a_store_asks_for_is_kept()
    {
        Gcs.Server.Fail(new Fault { Answer = ScriptedAnswer.Of(429, "later").With("Retry-After", "1") });
        using var store = Open();
        var began = TimeProvider.System.GetTimestamp();

        await store.PutAsync("k", "x");

        // Timers count in coarser ticks than this clock, and may ring a little early by it; the store's own first wait is milliseconds.
        Assert.True(TimeProvider.System.GetElapsedTime(began) >= TimeSpan.FromMilliseconds(900));
    }

    [Fact]
    public async Task An_object_that_somebody_else_made_while_a_request_was_repeated_is_theirs()
    {
        Gcs.Server.Fail(new Fault { When = IsWhole, Answer = ScriptedAnswer.Of(500, "x") });
        Gcs.Server.Fail(new Fault { When = IsLast, Answer = ScriptedAnswer.Of(500, "x") });
        using var store = Open();
        await using var writer = await store.OpenWriteAsync("large", WriteMode.CreateNew, Cancel);
        await writer.WriteAsync(new byte[300_000], Cancel);
        Gcs.Put("a/prefix/small", "theirs");
        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("small", "ours"));
        while (Count(IsChunk) == 0)
        {
            await Task.Delay(5, Cancel);
        }

        Gcs.Put("a/prefix/large", "theirs");
        await Assert.ThrowsAsync<ObjectExistsException>(() => writer.CompleteAsync(Cancel));

        Assert.Equal(("theirs", "theirs"), (Stored("small"), Stored("large")));
    }

    [Fact]
    public async Task Of_an_object_that_exists_nothing_is_sent_after_the_store_has_said_so()
    {
        Gcs.Put("a/prefix/k", "theirs");
        using var store = Open();

        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("k", Large));

        Assert.Equal((1, 0), (Count(IsBegin), Count(IsChunk) + Count(IsLast)));
        Assert.Equal("theirs", Stored("k"));
    }

    [Fact]
    public async Task A_store_that_says_that_it_exists_and_then_that_it_does_not_is_asked_again()
    {
        Gcs.Server.Fail(new Fault { When = IsWhole, Answer = ScriptedGcs.Error(412, "conditionNotMet", "x") });
        using var store = Open();

        await store.PutAsync("k", "x");

        Assert.Equal("x", Stored("k"));
    }

    [Fact]
    public async Task Bytes_that_were_damaged_on_the_way_are_refused_and_a_small_object_is_sent_again()
    {
        var damages = 1;
        Gcs.Damage = bytes => damages-- > 0 ? [.. bytes.Select(static b => (byte)(b ^ 1))] : bytes;
        using var store = Open();
        await store.PutAsync("small", "small");
        Assert.Equal(("small", 2), (Stored("small"), Count(IsWhole)));

        damages = 1;
        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("large", Large));

        AssertClear(e, "can't write large", "damaged on the way", "CRC32C");
        Assert.Equal(1, Count(IsLast));
        Assert.Null(Stored("large"));
    }

    [Theory]
    [InlineData("small")]
    [InlineData("large")]
    public async Task A_store_that_takes_other_bytes_all_the_same_is_an_error_that_is_not_repeated(string key)
    {
        Gcs.ComparesChecksums = false;
        Gcs.Damage = static bytes => [.. bytes.Select(static b => (byte)(b ^ 1))];
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync(key, key == "small" ? "small" : Large));

        AssertClear(e, $"can't write {key}", "keeps other bytes than were sent", GcsStored.Sum(System.Text.Encoding.UTF8.GetBytes(key == "small" ? "small" : Large)), "delete that object");
        Assert.Equal(1, Count(IsWhole) + Count(IsLast));
        Assert.Equal(0, Count(static r => r.Method == "DELETE"));
    }

    [Theory]
    [InlineData(GcsOptions.ChunkUnit, 1, 0)]
    [InlineData(GcsOptions.ChunkUnit + 1, 0, 1)]
    [InlineData(GcsOptions.ChunkUnit * 2, 0, 1)]
    public async Task What_fits_into_one_chunk_is_one_request(int size, int whole, int sessions)
    {
        using var store = Open();

        await store.PutAsync("k", new string('x', size));

        Assert.Equal((whole, sessions), (Count(IsWhole), Count(IsBegin)));
        Assert.Equal(size, Stored("k")!.Length);
        Assert.Equal(0, Count(IsQuestion) + Count(IsStat));
    }

    [Theory]
    [InlineData("standard", "NEARLINE")]
    [InlineData("archive", "ARCHIVE")]
    public async Task Attributes_become_class_metadata_and_lock(string tier, string expected)
    {
        var until = new DateTimeOffset(2150, 1, 2, 3, 4, 5, TimeSpan.Zero);
        using var store = Open(Options with
        {
            StorageClass = "NEARLINE",
            StorageClasses = new Dictionary<string, string> { ["archive"] = "ARCHIVE" },
            Lock = GcsLock.Locked,
            Cluster = "main",
            KmsKey = "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        });
        foreach (var (key, size) in ((string, int)[])[("small", 10), ("large", 600_000)])
        {
            await using var writer = await store.OpenWriteAsync(key, WriteMode.CreateNew, new ObjectAttributes(tier, "wal", until), Cancel);
            await writer.WriteAsync(new byte[size], Cancel);
            await writer.CompleteAsync(Cancel);

            var stored = Gcs.Find($"a/prefix/{key}")!;
            Assert.Equal((expected, "Locked", until), (stored.StorageClass, stored.RetentionMode, stored.RetainUntil));
            Assert.Equal("projects/p/locations/l/keyRings/r/cryptoKeys/k", stored.KmsKey);
            Assert.Equal((tier, "wal", "main"), (stored.Metadata["tier"], stored.Metadata["kind"], stored.Metadata["cluster"]));
        }
    }

    [Fact]
    public async Task A_session_that_is_not_completed_is_given_up()
    {
        using var store = Open();
        await using (var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel))
        {
            await writer.WriteAsync(new byte[1_000_000], Cancel);
            while (Gcs.SessionsBegun == 0)
            {
                await Task.Delay(5, Cancel);
            }
        }

        Assert.Equal((1, 0), (Gcs.SessionsBegun, Gcs.SessionsOpen));
    }

    [Fact]
    public async Task It_is_seen_when_bytes_have_moved_and_no_more_than_two_chunks_are_held()
    {
        Gcs.Server.Fail(new Fault { When = IsChunk, Delay = TimeSpan.FromSeconds(0.3), Times = 99 });
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(20) });
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);
        var begun = writer.Moved!.Value;
        await writer.WriteAsync(new byte[GcsOptions.ChunkUnit * 2], Cancel);

        var third = writer.WriteAsync(new byte[1], Cancel).AsTask();

        Assert.False(third.IsCompleted);
        await third;
        Assert.True(writer.Moved > begun);
        await writer.CompleteAsync(Cancel);
    }

    [Fact]
    public void A_chunk_of_a_size_that_can_not_be_sent_is_an_error()
    {
        var e = Assert.Throws<StorageException>(() => Open(Options with { ChunkSize = 1_000_000 }));

        Assert.Contains("1000000 bytes", e.Message, StringComparison.Ordinal);
        Assert.Contains("262144", e.Hint, StringComparison.Ordinal);
    }
}
